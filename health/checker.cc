#include "health/checker.h"

#include "health/command_checker.h"
#include "health/http2_checker.h"
#include "health/http_checker.h"
#include "health/tcp_checker.h"

namespace regrow::health {

std::unique_ptr<Checker> makeChecker(EventLoop& loop, const Address& address,
                                     const conf::Check& check, Speech speech) {
    switch (check.kind) {
        case conf::CheckKind::http:
            if (speech.http2) return std::make_unique<Http2Checker>(loop, address, check, speech);
            return std::make_unique<HttpChecker>(loop, address, check, std::move(speech));
        case conf::CheckKind::command:
            return std::make_unique<CommandChecker>(loop, address, check);
        case conf::CheckKind::tcp: break;
    }
    return std::make_unique<TcpChecker>(loop, address, check.timeout, std::move(speech));
}

}  // namespace regrow::health
