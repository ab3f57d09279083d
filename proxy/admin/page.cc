#include "proxy/admin/page.h"

#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <array>

namespace regrow::admin {
namespace {

std::string sourceHash(std::string_view text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    std::array<unsigned char, 4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1> base64{};
    const int length = EVP_EncodeBlock(base64.data(), digest.data(), digest.size());
    return fmt::format("'sha256-{}'", std::string(base64.begin(), base64.begin() + length));
}

void replace(std::string& text, std::string_view mark, std::string_view by) {
    if (const auto at = text.find(mark); at != std::string::npos) text.replace(at, mark.size(), by);
}

}  // namespace

Page assemblePage() {
    Page page;
    page.html = pageHtml();
    replace(page.html, "@STYLE@", pageStyle());
    replace(page.html, "@SCRIPT@", pageScript());
    page.policy = fmt::format(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; "
        "base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        sourceHash(pageScript()), sourceHash(pageStyle()));
    return page;
}

}  // namespace regrow::admin
