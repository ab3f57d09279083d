#include "proxy/admin/metrics_text.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/proxy/admin/fake_control.h"

using namespace regrow;

namespace {

const WallTime kNow{std::chrono::seconds(1'795'000'000)};

std::vector<std::string> lines(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
}

bool installed(const char* program) {
    return std::system((std::string("command -v ") + program + " >/dev/null 2>&1").c_str()) ==
           0;  // NOLINT
}

}  // namespace

TEST_CASE(
    "metrics: each family has HELP and TYPE once, before its samples, and samples stay together") {
    const std::regex sample(
        R"(^(regrow_[a-z0-9_]+)(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+$)");
    std::set<std::string> helped;
    std::set<std::string> finished;
    std::string family;
    for (const auto& line : lines(admin::metricsText(admin::testing::richStatus(kNow)))) {
        INFO(line);
        std::istringstream words(line);
        std::string hash, what, name;
        if (line.starts_with("# HELP")) {
            words >> hash >> what >> name;
            CHECK(helped.insert(name).second);
            finished.insert(family);
            family = name;
            CHECK_FALSE(finished.contains(name));
        } else if (line.starts_with("# TYPE")) {
            words >> hash >> what >> name;
            CHECK(name == family);
            CHECK((name.ends_with("_total") == (line.ends_with(" counter"))));
        } else {
            std::smatch match;
            REQUIRE(std::regex_match(line, match, sample));
            CHECK(match[1] == family);
        }
    }
    CHECK(helped.size() > 35);
}

TEST_CASE("metrics: a state is one series per value, times are seconds, unknown is absent") {
    auto status = admin::testing::richStatus(kNow);
    const auto text = admin::metricsText(status);
    CHECK(text.find(
              "regrow_backend_state{pool=\"wiki\",backend=\"wiki-1\",state=\"restoring\"} 1\n") !=
          std::string::npos);
    CHECK(text.find("regrow_backend_state{pool=\"wiki\",backend=\"wiki-1\",state=\"up\"} 0\n") !=
          std::string::npos);
    CHECK(text.find("regrow_backend_latency_seconds{pool=\"wiki\",backend=\"wiki-2\",quantile=\"0."
                    "99\"} 0.0175\n") != std::string::npos);
    CHECK(text.find("regrow_backend_stalls_total{pool=\"wiki\",backend=\"wiki-1\"} 3\n") !=
          std::string::npos);
    CHECK(text.find("regrow_repository_free_bytes{repository=\"main\"} 81604378624\n") !=
          std::string::npos);
    CHECK(text.find("regrow_recoveries_total{pool=\"wiki\",result=\"done\"} 3\n") !=
          std::string::npos);
    CHECK(text.find("regrow_backup_rpo_seconds{pool=\"api\"}") == std::string::npos);
    status.pools["wiki"].backup->rpo_s.reset();
    CHECK(admin::metricsText(status).find("regrow_backup_rpo_seconds") == std::string::npos);
}

TEST_CASE("metrics: a recovery that waits is held, and why is a label of its own") {
    auto status = admin::testing::richStatus(kNow);
    auto& recovery = status.pools.at("wiki").active.at(0);
    CHECK(admin::metricsText(status).find(
              "regrow_recovery_state{pool=\"wiki\",backend=\"wiki-1\",state=\"restore\"} 1\n") !=
          std::string::npos);
    recovery.state = "held(approval)";
    recovery.held = "approval";
    CHECK(admin::metricsText(status).find("regrow_recovery_state{pool=\"wiki\",backend=\"wiki-1\","
                                          "state=\"held\",held_reason=\"approval\"} 1\n") !=
          std::string::npos);
}

TEST_CASE("metrics: labels are escaped") {
    auto status = admin::testing::richStatus(kNow);
    status.listeners[0].listen = "unix:/a\"b\\c\nd";
    CHECK(admin::metricsText(status).find(R"({listen="unix:/a\"b\\c\nd"})") != std::string::npos);
}

// promtool is in Debian's package `prometheus`, which script/test installs; there its absence fails
// the run.
TEST_CASE("metrics: promtool check metrics is clean") {
    if (!installed("promtool")) {
        if (std::getenv("REGROW_TEST_ALL")) FAIL("promtool is missing: apt-get install prometheus");
        WARN("promtool is not installed (package prometheus); not checked");
        return;
    }
    char path[] = "/tmp/regrow-metrics-XXXXXX";
    const int fd = ::mkstemp(path);
    REQUIRE(fd >= 0);
    ::close(fd);
    std::ofstream(path) << admin::metricsText(admin::testing::richStatus(kNow));
    std::string said;
    FILE* pipe = ::popen((std::string("promtool check metrics <") + path + " 2>&1").c_str(), "r");
    for (int c = 0; (c = std::fgetc(pipe)) != EOF;) said += static_cast<char>(c);
    const int status = ::pclose(pipe);
    ::unlink(path);
    INFO(said);
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(said.empty());
}
