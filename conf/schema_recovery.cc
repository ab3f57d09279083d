#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kBackupKeys[] = {
    {.name = "repository",
     .type = Type::names,
     .help = "name under repositories",
     .example = "main",
     .required = true},
    {.name = "every",
     .type = Type::duration,
     .help = "from the start of one incremental snapshot to the next",
     .fallback = "5s",
     .low = 100},
    {.name = "full",
     .type = Type::duration,
     .help = "reads everything again this often",
     .fallback = "7d",
     .low = 1000},
    {.name = "capture",
     .type = Type::only,
     .help = "how data is read consistently",
     .fallback = "auto",
     .choices = "auto"},
    {.name = "exclude",
     .type = Type::texts,
     .help = "glob patterns of files left out",
     .fallback = "[]",
     .example = "[\"*.tmp\"]"},
    {.name = "barrier",
     .type = Type::only,
     .help = "hold new writes while the snapshot's instant is marked",
     .fallback = "off",
     .choices = "off"},
    {.name = "safe_when",
     .type = Type::only,
     .help = "copies a snapshot needs to count",
     .fallback = "1",
     .choices = "1"},
    {.name = "keep", .type = Type::unbuilt},
    {.name = "drill", .type = Type::only, .choices = "off"},
};

constexpr Key kNotifyKeys[] = {
    {.name = "run",
     .type = Type::argv,
     .help = "program run when a recovery ends or is held",
     .example = "[/usr/local/bin/page-me]",
     .required = true},
    {.name = "webhook", .type = Type::unbuilt},
};
constinit const Section kNotifySection{kNotifyKeys};

constexpr Key kHookKeys[] = {
    {.name = "run",
     .type = Type::argv,
     .help = "the program",
     .example = "[/usr/local/bin/hook]",
     .required = true},
    {.name = "timeout",
     .type = Type::duration,
     .help = "then it is killed and the step fails",
     .fallback = "30s",
     .low = 1},
};
constinit const Section kHookSection{kHookKeys};

constexpr Key kHooksKeys[] = {
    {.name = "fence",
     .type = Type::hook,
     .help = "makes sure that the old server is gone",
     .example = "[/usr/local/bin/fence]",
     .section = &kHookSection},
    {.name = "prepare",
     .type = Type::hook,
     .help = "before the restored server starts",
     .example = "[/usr/local/bin/prepare]",
     .section = &kHookSection},
    {.name = "restore",
     .type = Type::only,
     .help = "who restores the data",
     .fallback = "builtin",
     .choices = "builtin"},
    {.name = "verify",
     .type = Type::hook,
     .help = "says whether the restored data is good",
     .example = "[/usr/local/bin/verify]",
     .section = &kHookSection},
    {.name = "after",
     .type = Type::hook,
     .help = "when the new server serves",
     .example = "[/usr/local/bin/after]",
     .section = &kHookSection},
};
constinit const Section kHooksSection{kHooksKeys};

constexpr Key kRecoveryKeys[] = {
    {.name = "mode",
     .type = Type::choice,
     .help = "auto, wait for `regrow approve`, or never",
     .fallback = "auto",
     .choices = "auto|approve|off"},
    {.name = "restore",
     .type = Type::only,
     .help = "at full speed",
     .fallback = "fast",
     .choices = "fast"},
    {.name = "rescue",
     .type = Type::boolean,
     .help = "take a last snapshot from the dead server's disk when it still answers",
     .fallback = "true"},
    {.name = "budget",
     .type = Type::rate,
     .help = "at most so many recoveries in this time",
     .fallback = "2 per 1h"},
    {.name = "unfenced",
     .type = Type::choice,
     .help = "when nobody can confirm that the old server is gone",
     .fallback = "hold",
     .choices = "hold|proceed"},
    {.name = "notify",
     .type = Type::sections,
     .help = "told when a recovery ends or is held",
     .section = &kNotifySection,
     .commented = true},
    {.name = "hooks",
     .type = Type::section,
     .help = "programs run within the steps, with REGROW_* in their environment; an exit other "
             "than 0 stops the step",
     .section = &kHooksSection,
     .commented = true},
};

}  // namespace

constinit const Section kBackupSection{kBackupKeys};
constinit const Section kRecoverySection{kRecoveryKeys};

}  // namespace regrow::conf
