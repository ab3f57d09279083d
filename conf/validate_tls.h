#pragma once

#include "conf/config.h"
#include "conf/problems.h"
#include "conf/tree.h"

namespace regrow::conf {

// What only a whole pool shows of its TLS: a name that can be checked.
void validateTls(const Config& config, const Node& root, Problems& problems);

// Reads every certificate, key, authority and OCSP response that is named and complains, at the key
// that names it, of what cannot be served. Apart from parsing, because it looks at the disk: for
// who runs the configuration, not for who only reads it.
void checkTlsFiles(const Config& config, const Node& root, Problems& problems);

}  // namespace regrow::conf
