// For processes that confine themselves. The first use of an algorithm makes libcrypto read
// openssl.cnf, so a process that gives up its file system calls (vault, stager) calls this before.
// Afterwards nothing in agent/crypto opens a file.
#pragma once

namespace chillbox::crypto {

void preload_libcrypto();

} // namespace chillbox::crypto
