#include "conf/validate.h"

#include "conf/validate_tls.h"

namespace regrow::conf {

void validate(const Config& config, const Node& root, Problems& problems) {
    validateListeners(config, root, problems);
    validateRoutes(config, root, problems);
    validateServers(config, root, problems);
    validateTls(config, root, problems);
    validateBackups(config, root, problems);
    validatePaths(config, root, problems);
}

}  // namespace regrow::conf
