#pragma once

#include "conf/config.h"
#include "conf/reader.h"

// From a map of the file to the value of the section: one function a section, one file a few of
// them. Each reads on past what is wrong; the reader has the problems.
namespace regrow::conf {

Config readConfig(const Reader& reader);
Listener readListener(const Reader& reader);
ProxyProtocol readProxyProtocol(const Reader& reader);
Route readRoute(const Reader& reader);
ErrorPages readErrorPages(const Reader& reader);
Compression readCompression(const Reader& pool);
Accept readAccept(const Reader& reader);  // of a listener
Limits readLimits(const Reader& reader);
Pool readPool(const std::string& name, const Reader& reader);
Balance readBalance(const Reader& reader, HashKey& hash);  // of a pool
std::string readAffinity(const Reader& reader);
Check readCheck(const Reader& reader);
Service readService(const Reader& reader);
Backend readBackend(const Reader& reader);
Server readSpare(const Reader& reader);
Backup readBackup(const Reader& reader);
Recovery readRecovery(const Reader& reader);
ListenerTls readListenerTls(const Reader& listener);
PoolTls readPoolTls(const Reader& pool);

}  // namespace regrow::conf
