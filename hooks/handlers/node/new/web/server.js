const http = require("http");

const server = http.createServer((request, response) => {
  response.end(request.url === "/up" ? "ok\n" : "@TITLE@: hello from chillbox\n");
});
server.listen(process.env.PORT || 8080, process.env.HOST || "127.0.0.1");
process.on("SIGTERM", () => server.close(() => process.exit(0)));
