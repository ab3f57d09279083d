#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kAdminKeys[] = {
    {.name = "listen",
     .type = Type::address,
     .help = "dashboard, /stats, /metrics, /events and control API; or unix:/path, or off",
     .fallback = "127.0.0.1:9901",
     .word = "off"},
    {.name = "token_file",
     .type = Type::path,
     .help = "token every changing call must carry; needed when not on loopback",
     .example = "/etc/regrow/admin.token"},
};
constinit const Section kAdminSection{kAdminKeys};

constexpr Key kLogKeys[] = {
    {.name = "level",
     .type = Type::choice,
     .help = "least important level written",
     .fallback = "info",
     .choices = "trace|debug|info|warn|error"},
    {.name = "format",
     .type = Type::choice,
     .help = "for people or for machines",
     .fallback = "text",
     .choices = "text|json"},
};
constinit const Section kLogSection{kLogKeys};

constexpr Key kAccessLogKeys[] = {
    {.name = "path",
     .type = Type::path,
     .help = "file that lines are appended to",
     .example = "/var/log/regrow/access.log",
     .required = true},
    {.name = "format",
     .type = Type::choice,
     .help = "the common combined format, or JSON lines",
     .fallback = "combined",
     .choices = "combined|json"},
};
constinit const Section kAccessLogSection{kAccessLogKeys};

constexpr Key kAuditLogKeys[] = {
    {.name = "path",
     .type = Type::path,
     .help = "file that every recovery step and changing call is appended to; default "
             "STATE_DIR/audit.log",
     .example = "/var/lib/regrow/audit.log"},
};
constinit const Section kAuditLogSection{kAuditLogKeys};

constexpr Key kRepositoryKeys[] = {
    {.name = "path",
     .type = Type::path,
     .help = "directory that holds the snapshots",
     .example = "/var/lib/regrow/backups",
     .required = true},
    {.name = "key_file",
     .type = Type::path,
     .help =
         "key the snapshots are encrypted with; made by `regrow key new`; keep a copy elsewhere",
     .example = "/etc/regrow/backup.key",
     .required = true},
    {.name = "s3", .type = Type::unbuilt},
};
constinit const Section kRepositorySection{kRepositoryKeys};

constexpr Key kRootKeys[] = {
    {.name = "workers",
     .type = Type::integer,
     .help = "threads that serve requests; auto = one a core",
     .fallback = "auto",
     .word = "auto",
     .low = 1,
     .high = 256},
    {.name = "state_dir",
     .type = Type::path,
     .help = "journal, assignments, health, drains and server logs; created with mode 0700",
     .fallback = "/var/lib/regrow"},
    {.name = "admin",
     .type = Type::section,
     .help = "the admin endpoint",
     .section = &kAdminSection},
    {.name = "log",
     .type = Type::section,
     .help = "regrow's own log, on standard error",
     .section = &kLogSection},
    {.name = "access_log",
     .type = Type::section,
     .help = "one line a request",
     .fallback = "off",
     .word = "off",
     .section = &kAccessLogSection},
    {.name = "audit_log",
     .type = Type::section,
     .help = "who did what, and every recovery step",
     .section = &kAuditLogSection,
     .commented = true},
    {.name = "user",
     .type = Type::text,
     .help = "user to become when started as root; default: stay as started",
     .example = "regrow"},
    {.name = "limits",
     .type = Type::section,
     .help = "of the whole process",
     .section = &kLimitsSection},
    {.name = "listeners",
     .type = Type::sections,
     .help = "where requests enter",
     .section = &kListenerSection,
     .required = true},
    {.name = "pools",
     .type = Type::named,
     .help = "sets of backends, each serving one service",
     .example = "app",
     .section = &kPoolSection,
     .required = true},
    {.name = "repositories",
     .type = Type::named,
     .help = "where snapshots live",
     .example = "main",
     .section = &kRepositorySection,
     .commented = true},
    {.name = "agents", .type = Type::unbuilt},
    {.name = "coordination", .type = Type::unbuilt},
};

}  // namespace

constinit const Section kRootSection{kRootKeys};

}  // namespace regrow::conf
