#include "base/password_file.h"

#include <catch2/catch.hpp>

using namespace regrow;

namespace {

// "secret", SHA-512 with the fewest rounds there are, so that tests are not slow.
const std::string kHash =
    "$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2Soep"
    "NXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/";

std::string refusal(const std::string& text) {
    const auto file = PasswordFile::parse(text, "users");
    return file ? "none" : file.error().message;
}

}  // namespace

TEST_CASE("a file of passwords says what is wrong with it and where") {
    CHECK(refusal("") == "users: names nobody, so nobody could log in; add a line NAME:HASH");
    CHECK(refusal("# only words\n\nanna\n") ==
          "users:3: a line is NAME:HASH, as `htpasswd -nB NAME` prints it");
    for (const std::string weak :
         {"secret", "$apr1$x$y", "{SHA}abc", "$1$a$b", "ab01FAX.bQRSU", ""})
        CHECK(refusal("anna:" + weak).find("users:1: the hash of 'anna' is not one that is safe") !=
              std::string::npos);
    CHECK(refusal("a:" + kHash + "\r\na:" + kHash) == "users:2: 'a' stands here a second time");
}

TEST_CASE("passwords are told apart") {
    const auto file = PasswordFile::parse("anna:" + kHash + "\n", "users");
    REQUIRE(file.has_value());
    CHECK((*file)->size() == 1);
    CHECK_FALSE((*file)->verify("anna", "Secret"));
    CHECK_FALSE((*file)->verify("anna", ""));
    CHECK_FALSE((*file)->verify("bert", "secret"));
    CHECK((*file)->verify("anna", "secret"));
}
