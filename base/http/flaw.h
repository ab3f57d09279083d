#pragma once

#include <cstdint>
#include <string_view>

namespace regrow::http {

// Why a message was refused: one word a reason, for counters, logs and tests.
enum class Flaw : uint8_t {
    none,
    bare_lf,
    bare_cr,
    control_byte,  // line ends and bytes
    bad_method,
    bad_target,
    bad_path,
    bad_version,
    unsupported_version,
    bad_status,  // first line
    obs_fold,
    bad_field_name,
    space_before_colon,
    missing_colon,
    bad_host,
    missing_host,
    duplicate_host,
    host_mismatch,
    bad_content_length,
    duplicate_content_length,
    length_and_encoding,
    bad_transfer_encoding,
    encoding_on_http10,
    encoding_forbidden,
    body_forbidden,
    bad_connection,
    bad_upgrade,
    bad_expect,
    method_too_long,
    target_too_long,
    head_too_large,
    field_too_large,
    too_many_fields,
    bad_chunk_size,
    bad_chunk_extension,
    chunk_too_large,
    bad_chunk_end,
    bad_trailer,
    trailers_too_large,
};

// What happened, for a log line or an error page: static, no full stop.
std::string_view textOf(Flaw flaw);
// The status a client gets for it: 400, 414, 417, 431 or 505. From a backend every flaw is a 502.
uint16_t statusOf(Flaw flaw);

}  // namespace regrow::http
