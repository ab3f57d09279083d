#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

// Small files, read and written whole and durably. Blocking: control plane and child processes
// only, and there only for state on local disk (state_dir), never on a backend's data.
namespace regrow {

Result<UniqueFd> openFile(const std::string& path, int flags,
                          unsigned mode = 0600);  // O_CLOEXEC is added
// Fails with Code::invalid when larger than `limit` bytes.
Result<std::string> readFile(const std::string& path, size_t limit = size_t{16} << 20);
// All or nothing, and durable: temporary in the same directory, fdatasync, rename, fsync of the
// directory.
Result<> writeFileAtomic(const std::string& path, std::string_view content, unsigned mode = 0600);
Result<> writeAll(int fd, std::string_view content, std::string_view what);
Result<> syncDirectory(const std::string& path);
// mkdir -p; existing directories keep their mode.
Result<> makeDirectories(const std::string& path, unsigned mode = 0700);
bool exists(const std::string& path);

}  // namespace regrow
