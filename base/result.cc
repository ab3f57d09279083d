#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace regrow {
namespace {

Code codeOf(int error_number) {
    switch (error_number) {
        case ENOENT:
        case ENOTDIR: return Code::not_found;
        case EEXIST:
        case ENOTEMPTY: return Code::exists;
        case ENOSPC:
        case EDQUOT: return Code::no_space;
        case EACCES:
        case EPERM:
        case EROFS: return Code::permission;
        case ETIMEDOUT: return Code::timeout;
        case ECONNREFUSED:
        case ECONNRESET:
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EPIPE:
        case EAGAIN:
        case EBUSY:
        case EMFILE:
        case ENFILE: return Code::unavailable;
        default: return Code::io;
    }
}

}  // namespace

Error Error::in(std::string_view context) && {
    message.insert(0, ": ").insert(0, context);
    return std::move(*this);
}

std::unexpected<Error> fail(Code code, Source source, std::string message) {
    const bool retryable = code == Code::unavailable || code == Code::timeout;
    return std::unexpected(Error{code, source, retryable, std::move(message)});
}

std::unexpected<Error> failErrno(int error_number, std::string_view what, Source source) {
    return fail(codeOf(error_number), source,
                std::string(what) + ": " + std::generic_category().message(error_number));
}

std::string_view name(Code code) {
    switch (code) {
        case Code::invalid: return "invalid";
        case Code::not_found: return "not_found";
        case Code::exists: return "exists";
        case Code::refused: return "refused";
        case Code::corrupt: return "corrupt";
        case Code::unavailable: return "unavailable";
        case Code::timeout: return "timeout";
        case Code::no_space: return "no_space";
        case Code::permission: return "permission";
        case Code::cancelled: return "cancelled";
        case Code::io: return "io";
        case Code::internal: return "internal";
    }
    return "internal";
}

std::string_view name(Source source) {
    switch (source) {
        case Source::client: return "client";
        case Source::upstream: return "upstream";
        case Source::disk: return "disk";
        case Source::config: return "config";
        case Source::repository: return "repository";
        case Source::us: return "us";
    }
    return "us";
}

}  // namespace regrow
