#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// A second reading of RFC 9112, written from the text and our stated policy (proxy/http/README.md)
// alone: plain, slow, on whole strings, sharing nothing with base/http. Where the two disagree, one
// of them is wrong.
namespace regrow::reference {

struct Message {
    std::string method, target, path, query, host;  // host with port, as it goes to a backend
    int status = 0;
    int minor = 1;
    std::string framing = "none";  // "none", "chunked", "close" or a decimal length
    bool keep_alive = false;
    std::string upgrade;
    bool expect = false;
    std::vector<std::pair<std::string, std::string>> fields;
    size_t bytes = 0;
};

inline const std::string kDigits = "0123456789";
inline const std::string kAlnum = kDigits + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
inline const std::string kTchars = kAlnum + "!#$%&'*+-.^_`|~";

inline std::string lowered(std::string s) {
    for (char& c : s)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return s;
}

inline bool consistsOf(const std::string& s, const std::string& set) {
    return !s.empty() && s.find_first_not_of(set) == std::string::npos;
}

inline std::string trimmed(const std::string& s) {
    const size_t begin = s.find_first_not_of(" \t");
    if (begin == std::string::npos) return "";
    return s.substr(begin, s.find_last_not_of(" \t") - begin + 1);
}

inline std::vector<std::string> elements(const std::string& list) {
    std::vector<std::string> out(1);
    for (const char c : list) {
        if (c == ',')
            out.emplace_back();
        else
            out.back() += c;
    }
    for (auto& e : out) e = trimmed(e);
    return out;
}

// The lines of a head with the empty one that ends it left out; nothing when it is incomplete or
// has a bad byte or line end.
inline std::optional<std::vector<std::string>> headLines(const std::string& input, bool request,
                                                         size_t& bytes) {
    std::vector<std::string> lines;
    size_t at = request && input.substr(0, 2) == "\r\n" ? 2 : 0;
    while (true) {
        const size_t end = input.find('\n', at);
        if (end == std::string::npos || end == at || input[end - 1] != '\r') return std::nullopt;
        const std::string line = input.substr(at, end - 1 - at);
        for (const char c : line)
            if ((static_cast<unsigned char>(c) < 32 && c != '\t') || c == 127) return std::nullopt;
        at = end + 1;
        bytes = at;
        if (line.empty()) return lines.empty() ? std::nullopt : std::optional(lines);
        lines.push_back(line);
    }
}

inline bool readField(const std::string& line, Message& m) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || !consistsOf(line.substr(0, colon), kTchars) || colon > 256)
        return false;
    m.fields.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
    return m.fields.size() <= 128;
}

inline std::vector<std::string> valuesOf(const Message& m, const std::string& name) {
    std::vector<std::string> out;
    for (const auto& [n, v] : m.fields)
        if (lowered(n) == name) out.push_back(v);
    return out;
}

// Splits "host[:port]"; the port is -1 when there is none.
inline bool readHostPort(const std::string& text, std::string& host, int& port) {
    const bool v6 = !text.empty() && text[0] == '[';
    const size_t end = v6 ? text.find(']') : text.find(':');
    if (v6 && end == std::string::npos) return false;
    host = v6 ? text.substr(0, end + 1) : text.substr(0, end);
    std::string rest = end == std::string::npos ? "" : text.substr(v6 ? end + 1 : end);
    if (v6) {
        // The addresses the test's alphabet can spell: enough colons and hex groups of up to four.
        const std::string inside = host.substr(1, host.size() - 2);
        if (!consistsOf(inside, kDigits + "abcdefABCDEF:") ||
            inside.find(":::") != std::string::npos)
            return false;
        const size_t gap = inside.find("::");
        if (gap != std::string::npos && inside.find("::", gap + 1) != std::string::npos)
            return false;
        int groups = 0;
        size_t run = 0;
        for (size_t i = 0; i <= inside.size(); ++i) {
            if (i < inside.size() && inside[i] != ':') {
                if (++run > 4) return false;
                if (run == 1) ++groups;
            } else {
                run = 0;
            }
        }
        const bool edge =
            (inside.front() == ':' && gap != 0) ||
            (inside.back() == ':' && (gap == std::string::npos || gap != inside.size() - 2));
        if (edge || (gap == std::string::npos ? groups != 8 : groups > 7)) return false;
    } else if (!consistsOf(host, kAlnum + "-._") || host.size() > 255) {
        return false;
    }
    port = -1;
    if (rest.empty()) return true;
    rest = rest.substr(1, rest[0] == ':' ? std::string::npos : 0);
    if (!consistsOf(rest, kDigits) || rest.size() > 5) return false;
    port = std::stoi(rest);
    return port > 0 && port < 65536;
}

inline std::string decoded(const std::string& s) {
    std::string out;
    for (size_t i = 0; i < s.size(); ++i) {
        if (s[i] == '%') {
            out += static_cast<char>(std::stoi(s.substr(i + 1, 2), nullptr, 16));
            i += 2;
        } else {
            out += s[i];
        }
    }
    return out;
}

inline bool readPath(const std::string& text, Message& m) {
    for (const char c : text)
        if (c <= 32 || c >= 127 || std::string("#\"<>").find(c) != std::string::npos) return false;
    const size_t q = text.find('?');
    m.path = text.substr(0, q);
    m.query = q == std::string::npos ? "" : text.substr(q);
    if (m.path.find('\\') != std::string::npos) return false;
    for (size_t i = 0; i < m.path.size(); ++i) {
        if (m.path[i] != '%') continue;
        const std::string hex = m.path.substr(i + 1, 2);
        if (hex.size() != 2 || !consistsOf(hex, kDigits + "abcdefABCDEF") || hex == "00")
            return false;
    }
    // With everything decoded and parameters cut off, no segment may be a dot-segment.
    std::string segment;
    for (const char c : decoded(m.path) + "/") {
        if (c != '/' && c != '\\') {
            segment += c;
            continue;
        }
        segment = segment.substr(0, segment.find(';'));
        if (segment == "." || segment == "..") return false;
        segment.clear();
    }
    if (m.path.empty()) m.path = "/";
    return true;
}

inline bool readRequestTarget(Message& m, std::string& authority, int& usual_port) {
    const std::string& t = m.target;
    std::string host;
    int port = 0;
    if (m.method == "CONNECT") {
        authority = t;
        usual_port = -1;
        return readHostPort(t, host, port) && port > 0;
    }
    if (t == "*") return m.path = "*", m.method == "OPTIONS";
    if (!t.empty() && t[0] == '/') return readPath(t, m);
    const std::string low = lowered(t);
    const size_t scheme = low.rfind("http://", 0) == 0 ? 7 : low.rfind("https://", 0) == 0 ? 8 : 0;
    if (scheme == 0) return false;
    usual_port = scheme == 7 ? 80 : 443;
    const size_t end = std::min(t.find_first_of("/?", scheme), t.size());
    authority = t.substr(scheme, end - scheme);
    return readHostPort(authority, host, port) && readPath(t.substr(end), m);
}

inline bool readVersion(const std::string& v, Message& m) {
    if (v != "HTTP/1.1" && v != "HTTP/1.0") return false;
    m.minor = v.back() - '0';
    return true;
}

// Content-Length, Transfer-Encoding and Connection, the same for both directions.
inline bool readCommon(Message& m, std::set<std::string>& options) {
    int tokens = 0;
    for (const auto& list : valuesOf(m, "connection"))
        for (const auto& e : elements(list)) {
            if (++tokens > 32 || (!e.empty() && !consistsOf(e, kTchars))) return false;
            options.insert(lowered(e));
        }
    m.keep_alive = !options.count("close") && (m.minor == 1 || options.count("keep-alive"));
    const auto lengths = valuesOf(m, "content-length"), codings = valuesOf(m, "transfer-encoding");
    if (lengths.size() + codings.size() > 1) return false;
    if (codings.size() == 1) {
        if (lowered(codings[0]) != "chunked" || m.minor == 0) return false;
        m.framing = "chunked";
    }
    if (lengths.size() == 1) {
        const std::string& n = lengths[0];
        if (!consistsOf(n, kDigits) || n.size() > 19 || (n.size() > 1 && n[0] == '0')) return false;
        if (n.size() == 19 && n > "9223372036854775807") return false;
        m.framing = n;
    }
    std::vector<std::string> protocols;
    for (const auto& list : valuesOf(m, "upgrade")) {
        for (const auto& e : elements(list)) {
            const size_t slash = e.find('/');
            if (!consistsOf(e.substr(0, slash), kTchars)) return false;
            if (slash != std::string::npos && !consistsOf(e.substr(slash + 1), kTchars))
                return false;
        }
        if (elements(list).size() == 1 && lowered(list) != "h2c") protocols.push_back(list);
    }
    if (!protocols.empty() && m.minor == 1 && options.count("upgrade"))
        m.upgrade = protocols.front();
    return true;
}

inline bool readHosts(Message& m, const std::string& authority, int usual_port) {
    const auto hosts = valuesOf(m, "host");
    if (hosts.size() > 1 || (hosts.empty() && m.minor == 1)) return false;
    m.host = hosts.empty() ? authority : hosts[0];
    if (hosts.empty()) return true;
    std::string host, target_host;
    int port = 0, target_port = 0;
    if (!readHostPort(m.host, host, port)) return false;
    if (authority.empty()) return true;
    readHostPort(authority, target_host, target_port);
    if (port < 0) port = usual_port;
    if (target_port < 0) target_port = usual_port;
    return lowered(host) == lowered(target_host) && port == target_port;
}

inline std::optional<Message> readRequest(const std::string& input) {
    Message m;
    const auto lines = headLines(input, true, m.bytes);
    if (!lines) return std::nullopt;
    const std::string& first = lines->front();
    const size_t a = first.find(' '), b = a == std::string::npos ? a : first.find(' ', a + 1);
    if (b == std::string::npos) return std::nullopt;
    m.method = first.substr(0, a);
    m.target = first.substr(a + 1, b - a - 1);
    if (!consistsOf(m.method, kTchars) || m.method.size() > 32 ||
        !readVersion(first.substr(b + 1), m))
        return std::nullopt;
    std::string authority;
    int usual_port = -1;
    if (!readRequestTarget(m, authority, usual_port)) return std::nullopt;
    for (size_t i = 1; i < lines->size(); ++i)
        if (!readField((*lines)[i], m)) return std::nullopt;
    std::set<std::string> options;
    if (!readCommon(m, options) || !readHosts(m, authority, usual_port)) return std::nullopt;
    for (const auto& e : valuesOf(m, "expect")) {
        if (lowered(e) != "100-continue") return std::nullopt;
        m.expect = true;
    }
    const bool body = m.framing != "none" && m.framing != "0";
    m.expect = m.expect && m.minor == 1 && body;
    if (body) m.upgrade.clear();
    return m;
}

// `request_method`: of what is answered.
inline std::optional<Message> readResponse(const std::string& input,
                                           const std::string& request_method) {
    Message m;
    const auto lines = headLines(input, false, m.bytes);
    if (!lines) return std::nullopt;
    const std::string& first = lines->front();
    if (first.size() < 12 || !readVersion(first.substr(0, 8), m) || first[8] != ' ')
        return std::nullopt;
    if (!consistsOf(first.substr(9, 3), kDigits) || (first.size() > 12 && first[12] != ' '))
        return std::nullopt;
    m.status = std::stoi(first.substr(9, 3));
    if (m.status < 100 || m.status > 599) return std::nullopt;
    for (size_t i = 1; i < lines->size(); ++i)
        if (!readField((*lines)[i], m)) return std::nullopt;
    std::set<std::string> options;
    if (!readCommon(m, options)) return std::nullopt;
    const bool never = m.status < 200 || m.status == 204;
    if (never && m.framing != "none" && m.framing != "0") return std::nullopt;
    if (m.status == 101)
        m.framing = "tunnel";
    else if (never || m.status == 304 || request_method == "HEAD")
        m.framing = "none";
    else if (m.framing == "none")
        m.framing = "close";
    return m;
}

struct Chunked {
    std::string payload, trailers;
    size_t bytes = 0;
};

// Takes what a chunk's size line begins with off its front, where the grammar says it may end.
inline std::string takenWhile(std::string& line, const std::string& set) {
    const size_t end = std::min(line.find_first_not_of(set), line.size());
    const std::string taken = line.substr(0, end);
    line.erase(0, end);
    return taken;
}

inline bool takeQuoted(std::string& line) {
    for (size_t i = 1; i < line.size(); ++i) {
        const auto c = static_cast<unsigned char>(line[i]);
        if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
        if (c == '"') return line.erase(0, i + 1), true;
        if (c != '\\') continue;
        if (++i == line.size()) return false;
        const auto escaped = static_cast<unsigned char>(line[i]);
        if ((escaped < 0x20 && escaped != '\t') || escaped == 0x7f) return false;
    }
    return false;
}

// *( BWS ";" BWS name [ BWS "=" BWS value ] ), RFC 9112 7.1.1.
inline bool readExtensions(std::string line) {
    while (!line.empty()) {
        takenWhile(line, " \t");
        if (line.empty() || line[0] != ';') return false;
        line.erase(0, 1);
        takenWhile(line, " \t");
        if (takenWhile(line, kTchars).empty()) return false;
        std::string rest = line;
        takenWhile(rest, " \t");
        if (rest.empty() || rest[0] != '=') continue;
        line = rest.substr(1);
        takenWhile(line, " \t");
        if (!line.empty() && line[0] == '"' ? !takeQuoted(line) : takenWhile(line, kTchars).empty())
            return false;
    }
    return true;
}

// A whole chunked body at the front of `input`, or nothing when it is incomplete or wrong.
inline std::optional<Chunked> readChunked(const std::string& input) {
    Chunked out;
    while (true) {
        const size_t end = input.find("\r\n", out.bytes);
        if (end == std::string::npos) return std::nullopt;
        std::string line = input.substr(out.bytes, end - out.bytes);
        const std::string size = takenWhile(line, kDigits + "abcdefABCDEF");
        if (size.empty() || size.size() > 16 || !readExtensions(line)) return std::nullopt;
        const unsigned long long n = std::stoull(size, nullptr, 16);
        out.bytes = end + 2;
        if (n == 0) break;
        if (n > input.size() - out.bytes || input.substr(out.bytes + n, 2) != "\r\n")
            return std::nullopt;
        out.payload += input.substr(out.bytes, n);
        out.bytes += n + 2;
    }
    if (input.substr(out.bytes, 2) == "\r\n") return out.bytes += 2, out;
    size_t length = 0;
    const auto lines = headLines(input.substr(out.bytes), false, length);
    if (!lines || length > 8192 || lines->size() > 128) return std::nullopt;
    for (const auto& line : *lines) {
        Message m;
        if (!readField(line, m)) return std::nullopt;
        const std::string name = lowered(m.fields[0].first);
        if (name == "content-length" || name == "transfer-encoding" || name == "host")
            return std::nullopt;
    }
    out.trailers = input.substr(out.bytes, length - 2);
    out.bytes += length;
    return out;
}

}  // namespace regrow::reference
