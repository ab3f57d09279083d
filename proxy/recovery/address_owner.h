#pragma once

#include <optional>
#include <string>

#include "base/address.h"

// Who is in the way of a server about to start. Control loop; reads /proc, never waits.
namespace regrow::recovery {

// Nothing when somebody could listen there now. Else "pid 4711 (nginx)", or "another process" when
// /proc does not let us see whose it is. Whether is asked of the kernel by binding, whose of /proc:
// /proc/net/tcp does not know of v6only, and binding does not know names.
std::optional<std::string> whoListensOn(const Address& address);

}  // namespace regrow::recovery
