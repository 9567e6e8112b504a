// For processes that lock themselves up. The first use of an algorithm makes libcrypto read
// openssl.cnf; a process that gives its file system calls away (vault, stager, unlock child) calls
// this before it does. Afterwards nothing in agent/crypto opens a file.
#pragma once

namespace chillbox::crypto {

void preload_libcrypto();

} // namespace chillbox::crypto
