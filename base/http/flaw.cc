#include "base/http/flaw.h"

namespace regrow::http {

std::string_view textOf(Flaw flaw) {
    switch (flaw) {
        case Flaw::none: return "no flaw";
        case Flaw::bare_lf: return "a line ends with LF alone";
        case Flaw::bare_cr: return "a CR without LF";
        case Flaw::control_byte: return "a control byte in the head";
        case Flaw::bad_method: return "the method is not a token";
        case Flaw::bad_target: return "the request target is not valid";
        case Flaw::bad_path: return "the path can be read in more than one way";
        case Flaw::bad_version:
            return "the first line does not have an HTTP version where it belongs";
        case Flaw::unsupported_version: return "the HTTP version is neither 1.0 nor 1.1";
        case Flaw::bad_status: return "the status is not a number from 100 to 599";
        case Flaw::obs_fold: return "a field is folded over several lines";
        case Flaw::bad_field_name: return "a field name is not a token";
        case Flaw::space_before_colon: return "a blank stands before a field's colon";
        case Flaw::missing_colon: return "a field line has no colon";
        case Flaw::bad_host: return "the host is not valid";
        case Flaw::missing_host: return "the Host field is missing";
        case Flaw::duplicate_host: return "more than one Host field";
        case Flaw::host_mismatch: return "the target and the Host field name different hosts";
        case Flaw::bad_content_length: return "Content-Length is not a plain decimal number";
        case Flaw::duplicate_content_length: return "more than one Content-Length field";
        case Flaw::length_and_encoding: return "both Content-Length and Transfer-Encoding";
        case Flaw::bad_transfer_encoding: return "Transfer-Encoding is not exactly chunked";
        case Flaw::encoding_on_http10: return "Transfer-Encoding on HTTP/1.0";
        case Flaw::encoding_forbidden: return "Transfer-Encoding with a status that has no body";
        case Flaw::body_forbidden: return "a length with a status that has no body";
        case Flaw::bad_connection: return "the Connection field is not a list of at most 32 tokens";
        case Flaw::bad_upgrade: return "the Upgrade field does not name protocols";
        case Flaw::bad_expect: return "only 100-continue can be expected";
        case Flaw::method_too_long: return "the method is too long";
        case Flaw::target_too_long: return "the request target is too long";
        case Flaw::head_too_large: return "the head is too large";
        case Flaw::field_too_large: return "a field name is too long";
        case Flaw::too_many_fields: return "too many fields";
        case Flaw::bad_chunk_size: return "a chunk size is not a plain hexadecimal number";
        case Flaw::bad_chunk_extension: return "a chunk extension is not valid or too long";
        case Flaw::chunk_too_large: return "a chunk size is too large";
        case Flaw::bad_chunk_end: return "a chunk does not end with CRLF";
        case Flaw::bad_trailer: return "a trailer field is not valid or not allowed there";
        case Flaw::trailers_too_large: return "the trailer section is too large";
    }
    return "unknown";
}

uint16_t statusOf(Flaw flaw) {
    switch (flaw) {
        case Flaw::target_too_long: return 414;
        case Flaw::bad_expect: return 417;
        case Flaw::head_too_large:
        case Flaw::field_too_large:
        case Flaw::too_many_fields:
        case Flaw::trailers_too_large: return 431;
        case Flaw::unsupported_version: return 505;
        default: return 400;
    }
}

}  // namespace regrow::http
