#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kCompressKeys[] = {
    {.name = "codings",
     .type = Type::choices_list,
     .help = "what may be used, best first; of these a client gets the first it takes",
     .fallback = "[zstd, br, gzip]",
     .choices = "zstd|br|gzip"},
    {.name = "types",
     .type = Type::texts,
     .help = "media types that are worth it; family/* takes a whole family",
     .fallback = "[text/*, application/json, application/ld+json, application/problem+json, "
                 "application/manifest+json, application/xml, application/xhtml+xml, "
                 "application/rss+xml, application/atom+xml, application/javascript, "
                 "application/wasm, image/svg+xml]"},
    {.name = "min_bytes",
     .type = Type::integer,
     .help = "smaller responses stay as they are",
     .fallback = "1024",
     .low = 0},
};

}  // namespace

constinit const Section kCompressSection{kCompressKeys};

}  // namespace regrow::conf
