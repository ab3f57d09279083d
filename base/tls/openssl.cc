#include "base/tls/openssl.h"

#include <openssl/err.h>

namespace regrow::tls {

// The last of the queue is the innermost and says most; the ones before it say where it led.
std::string takeReason() {
    const unsigned long error = ERR_peek_last_error();
    const char* const text = error == 0 ? nullptr : ERR_reason_error_string(error);
    ERR_clear_error();
    return text ? text : "unknown reason";
}

}  // namespace regrow::tls
