#include "conf/schema.h"

namespace regrow::conf {
namespace {

constexpr Key kListenerTlsKeys[] = {
    {.name = "certificate",
     .type = Type::path,
     .help = "PEM file: the server's certificate, then those that lead to its authority",
     .example = "/etc/regrow/tls/example.org.pem",
     .required = true},
    {.name = "key",
     .type = Type::path,
     .help = "PEM file: its private key, without a passphrase",
     .example = "/etc/regrow/tls/example.org.key",
     .required = true},
    {.name = "ocsp",
     .type = Type::path,
     .help = "DER file: an OCSP response to staple, read again on reload",
     .example = "/etc/regrow/tls/example.org.ocsp",
     .commented = true},
    {.name = "client_ca",
     .type = Type::path,
     .help = "PEM file: whose clients' certificates are accepted",
     .example = "/etc/regrow/tls/clients.pem",
     .commented = true},
    {.name = "client_certificate",
     .type = Type::choice,
     .help = "with client_ca: must a client show one; a wrong one never passes",
     .fallback = "required",
     .choices = "required|optional",
     .commented = true},
    {.name = "min_version",
     .type = Type::choice,
     .help = "oldest TLS version spoken",
     .fallback = "1.2",
     .choices = "1.2|1.3",
     .commented = true},
};

constexpr Key kPoolTlsKeys[] = {
    {.name = "ca",
     .type = Type::path,
     .help = "PEM file: whose certificates the backends show; default the system's authorities",
     .example = "/etc/regrow/tls/backends.pem"},
    {.name = "name",
     .type = Type::text,
     .help = "host name or address that their certificates are for, sent as SNI; default each "
             "one's address",
     .example = "app.internal"},
    {.name = "certificate",
     .type = Type::path,
     .help = "PEM file: the proxy's own certificate, for backends that ask",
     .example = "/etc/regrow/tls/proxy.pem"},
    {.name = "key",
     .type = Type::path,
     .help = "PEM file: its private key",
     .example = "/etc/regrow/tls/proxy.key"},
    {.name = "verify",
     .type = Type::boolean,
     .help = "false accepts any certificate: encrypted, but to whom nobody knows",
     .fallback = "true"},
};

}  // namespace

constinit const Section kListenerTlsSection{kListenerTlsKeys};
constinit const Section kPoolTlsSection{kPoolTlsKeys};

}  // namespace regrow::conf
