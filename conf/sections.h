#pragma once

#include "conf/config.h"
#include "conf/reader.h"

// From a map of the file to the value of the section: one function a section, one file a few of
// them. Each reads on past what is wrong; the reader has the problems.
namespace regrow::conf {

Config readConfig(const Reader& reader);
Listener readListener(const Reader& reader);
Pool readPool(const std::string& name, const Reader& reader);
Check readCheck(const Reader& reader);
Service readService(const Reader& reader);
Backend readBackend(const Reader& reader);
Server readSpare(const Reader& reader);
Backup readBackup(const Reader& reader);
Recovery readRecovery(const Reader& reader);

}  // namespace regrow::conf
