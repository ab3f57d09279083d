#pragma once

#include <string>

#include "base/http/head.h"
#include "base/http/parser.h"
#include "health/checker.h"
#include "health/http_expectation.h"
#include "health/probe.h"

namespace regrow::health {

// Good when a GET is answered by a head that parses strictly and whose status is expected. The body
// is read and dropped for a moment, as a courtesy; it does not change the result.
class HttpChecker final : public Checker, private Probe {
  public:
    // check.kind == http.
    HttpChecker(EventLoop& loop, const Address& address, const conf::Check& check,
                Speech speech = {});
    void start(Done done) override { Probe::start(std::move(done)); }

  private:
    void connected() override;
    void ready() override;
    bool heard() const override { return interim_ > 0 || !received_.empty(); }
    void ask();
    void listen();
    void parse();
    void closed();
    void judge(size_t head_bytes);
    void drain();

    EventLoop& loop_;
    std::string request_;
    size_t sent_ = 0;
    std::string received_;
    conf::Check check_;
    int interim_ = 0;  // 1xx answers seen
    http::ResponseParser parser_;
    http::ResponseHead head_;
    bool judged_ = false;  // the verdict is settled, the body is still coming
    HttpVerdict verdict_;
    size_t drain_ = 0;  // bytes of body still to be read
    Timer patience_;
};

}  // namespace regrow::health
