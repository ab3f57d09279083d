#include "conf/schema.h"

#include <catch2/catch.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "tests/conf/yaml.h"

using namespace regrow;
using namespace regrow::conf;
using namespace regrow::conf::test;

namespace {

void eachKey(const Section& section, const std::function<void(const Key&)>& visit) {
    for (const auto& key : section.keys) {
        visit(key);
        if (key.section) eachKey(*key.section, visit);
    }
}

std::string complaintsOf(const std::string& yaml) {
    const auto said = complaints(yaml);
    return said.empty() ? "good" : said + "\nin\n" + yaml;
}

std::string uncommented(const std::string& text) {
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);)
        out += (line.starts_with("# ") ? line.substr(2) : line) + "\n";
    return out;
}

}  // namespace

TEST_CASE("the defaults are a configuration, and say what leaving them out says") {
    CHECK(complaintsOf(defaultsText()) == "good");
    const auto written = parse(defaultsText(), "f");
    const auto left_out =
        parse(withPool("backends: [{name: app-1, address: 127.0.0.1:9001}]"), "f");
    REQUIRE(written.has_value());
    REQUIRE(left_out.has_value());
    CHECK(*written == *left_out);
}

TEST_CASE("the defaults show every key that can be written") {
    const auto text = defaultsText();
    eachKey(kRootSection, [&](const Key& key) {
        if (key.type == Type::unbuilt || (key.type == Type::only && key.fallback.empty())) return;
        INFO(key.name);
        CHECK(std::regex_search(text, std::regex("(^|[ \\n-])" + std::string(key.name) + ":")));
    });
}

TEST_CASE("what the defaults show as comments is well formed too") {
    const auto start = defaultsText().find("workers:");
    const auto said = complaints(uncommented(defaultsText().substr(start)));
    INFO(said);
    // Alternatives stand side by side there (run and start, http and command): those refusals are
    // about choice, not form.
    CHECK(said.find("not valid YAML") == std::string::npos);
    CHECK(said.find("known key") == std::string::npos);
    CHECK(said.find("is wrong") == std::string::npos);
    CHECK(said.find("must be") == std::string::npos);
}

TEST_CASE("every key has a place in the documentation") {
    const auto docs = readFile(sourceFile("docs/configuration.md"));
    REQUIRE(docs.has_value());
    eachKey(kRootSection, [&](const Key& key) {
        INFO(key.name);
        CHECK(docs->find("`" + std::string(key.name) + "`") != std::string::npos);
    });
}

TEST_CASE("the examples together use every key that can be written") {
    std::string all;
    for (const auto* const name : {"minimal", "full", "tls", "grpc", "tcp"})
        all += *readFile(sourceFile("conf/examples/" + std::string(name) + ".yaml"));
    eachKey(kRootSection, [&](const Key& key) {
        if (key.type == Type::unbuilt || (key.type == Type::only && key.fallback.empty())) return;
        INFO(key.name);
        CHECK(std::regex_search(all, std::regex("[ {\\n-]" + std::string(key.name) + ":")));
    });
}

TEST_CASE("every configuration in the documentation loads") {
    const auto docs = readFile(sourceFile("docs/configuration.md"));
    REQUIRE(docs.has_value());
    const std::string fence = "```yaml\n";
    int count = 0;
    for (auto at = docs->find(fence); at != std::string::npos;
         at = docs->find(fence, at + 1), ++count) {
        const auto begin = at + fence.size();
        CHECK(complaintsOf(docs->substr(begin, docs->find("```", begin) - begin)) == "good");
    }
    CHECK(count >= 1);
}

TEST_CASE("keys that are read have help and either a default or an example") {
    eachKey(kRootSection, [&](const Key& key) {
        if (key.type == Type::unbuilt || key.type == Type::only) return;
        INFO(key.name);
        CHECK_FALSE(key.help.empty());
        CHECK((key.section || !key.fallback.empty() || !key.example.empty()));
    });
}

TEST_CASE("the JSON schema is JSON and knows the keys") {
    const auto schema = json::parse(schemaText());
    REQUIRE(schema.has_value());
    const auto* properties = json::getObject(*schema, "properties");
    REQUIRE(properties);
    CHECK(properties->HasMember("listeners"));
    CHECK_FALSE(properties->HasMember("coordination"));
    CHECK(json::getBool(*schema, "additionalProperties") == false);
    CHECK(schemaText().find("\"least_requests\"") != std::string::npos);
}
