// client.mjs MODULES: the reference libraries as real clients. Reads a JSON array of requests from standard input, prints the array of what came of each.
//   {do: "sign", secret, id, time, body}                  Standard Webhooks: the signature
//   {do: "verify", secret, headers, body}                 ... whether the library takes it
//   {do: "send", url, secrets, id, time, body, change}    ... signs with each secret and posts; `change` replaces headers and body behind the signature
//   {do: "github-sign", secret, body}, {do: "github-send", url, secret, body, change}
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const modules = process.argv[2];
const { Webhook } = createRequire(modules + "/")("standardwebhooks");
const github = await import(pathToFileURL(modules + "/node_modules/@octokit/webhooks-methods/dist-node/index.js"));

const sign = (secret, r) => new Webhook(secret).sign(r.id, new Date(r.time * 1000), r.body);

async function post(url, headers, body, change = {}) {
  const all = { "content-type": "application/json", ...headers, ...change.headers };
  for (const name of Object.keys(all)) if (all[name] === null) delete all[name];
  const answer = await fetch(url + "/v1/hooks", { method: "POST", headers: all, body: change.body ?? body });
  return { status: answer.status, text: await answer.text() };
}

const verbs = {
  "sign": (r) => sign(r.secret, r),
  "verify": (r) => {
    try {
      new Webhook(r.secret).verify(r.body, r.headers);
      return true;
    } catch {
      return false;
    }
  },
  "send": (r) =>
    post(r.url, { "webhook-id": r.id, "webhook-timestamp": String(r.time), "webhook-signature": r.secrets.map((s) => sign(s, r)).join(" ") }, r.body, r.change),
  "github-sign": (r) => github.sign(r.secret, r.body),
  "github-send": async (r) =>
    post(r.url, { "x-github-event": "push", "x-github-delivery": r.id, "x-hub-signature-256": await github.sign(r.secret, r.body) }, r.body, r.change),
};

const results = [];
for (const request of JSON.parse(readFileSync(0, "utf8"))) results.push(await verbs[request.do](request));
process.stdout.write(JSON.stringify(results));
