#include "base/tls/stream.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace regrow::tls {
namespace {

constexpr size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;
// A record or a flight of the handshake. Beyond it somebody makes us answer (key updates) without
// reading the answers.
constexpr size_t kMostUnsent = 256 * 1024;

constexpr unsigned char kHandshakeRecord = 0x16;
constexpr unsigned char kOldHello = 0x80;  // SSLv2's form of a hello; refused with an alert

}  // namespace

// The library's view of the socket. Writing always succeeds while the connection lives.
struct SocketBio {
    static int read(BIO* bio, char* to, int room) {
        BIO_clear_retry_flags(bio);
        const long n = stream(bio)->readSocket(to, static_cast<size_t>(room));
        if (n == -1) BIO_set_retry_read(bio);
        return static_cast<int>(n < 0 ? -1 : n);
    }
    static int write(BIO* bio, const char* bytes, int size) {
        BIO_clear_retry_flags(bio);
        return stream(bio)->writeSocket({bytes, static_cast<size_t>(size)}) ? size : -1;
    }
    static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH; }
    static int create(BIO* bio) {
        BIO_set_init(bio, 1);
        return 1;
    }
    static Stream* stream(BIO* bio) { return static_cast<Stream*>(BIO_get_data(bio)); }

    // A table of functions, the same for ever.
    static const BIO_METHOD* method() {
        static const BIO_METHOD* const made = [] {
            BIO_METHOD* const m =
                BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "regrow socket");
            BIO_meth_set_read(m, read);
            BIO_meth_set_write(m, write);
            BIO_meth_set_ctrl(m, control);
            BIO_meth_set_create(m, create);
            return m;
        }();
        return made;
    }
};

Stream::Stream(SessionPtr session, int fd, std::shared_ptr<const void> keeper)
    : session_(std::move(session)),
      keeper_(std::move(keeper)),
      fd_(fd),
      server_(SSL_is_server(session_.get()) == 1) {
    BIO* const bio = BIO_new(SocketBio::method());
    BIO_set_data(bio, this);
    SSL_set_bio(session_.get(), bio, bio);
}

long Stream::readSocket(char* to, size_t room) {
    if (socket_dry_) return -1;
    ssize_t n = 0;
    do n = ::recv(fd_, to, room, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        if (static_cast<size_t>(n) < room && !fin_) socket_dry_ = true;
        const auto first = static_cast<unsigned char>(to[0]);
        if (!std::exchange(heard_, true) && server_ && first != kHandshakeRecord &&
            (first & kOldHello) == 0) {
            not_tls_ = true;
            return -2;
        }
        return n;
    }
    if (n == 0) {
        eof_ = true;
        return 0;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        socket_dry_ = true;
        return -1;
    }
    error_ = errno;
    return -2;
}

bool Stream::writeSocket(std::string_view bytes) {
    if (unsent_.empty()) {
        ssize_t n = 0;
        do n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            error_ = errno;
            return false;
        }
        bytes.remove_prefix(n > 0 ? static_cast<size_t>(n) : 0);
    }
    if (unsent_.size() + bytes.size() > kMostUnsent) {
        error_ = ENOBUFS;
        return false;
    }
    unsent_.append(bytes);
    return true;
}

bool Stream::flush() {
    if (broken_) return false;
    size_t sent = 0;
    while (sent < unsent_.size()) {
        const ssize_t n = ::send(fd_, unsent_.data() + sent, unsent_.size() - sent, MSG_NOSIGNAL);
        if (n > 0) {
            sent += static_cast<size_t>(n);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            error_ = errno;
            broken_ = true;
            socket_dry_ = false;  // what it said before it left is still to be read
            return false;
        }
    }
    if (sent < unsent_.size())
        unsent_.erase(0, sent);
    else if (sent > 0)
        unsent_ = {};  // idle connections hold no memory
    if (finishing_ && unsent_.empty()) ::shutdown(fd_, SHUT_WR);
    return true;
}

Stream::Shake Stream::handshake() {
    if (established_) return Shake::done;
    ERR_clear_error();
    const int done = flush() ? SSL_do_handshake(session_.get()) : -1;
    if (done == 1) {
        established_ = true;
        if (server_ && SSL_get_verify_mode(session_.get()) != SSL_VERIFY_NONE)
            client_ = std::make_unique<const PeerCertificate>(peerOf(session_.get()));
        return Shake::done;
    }
    if (not_tls_) return Shake::not_tls;
    if (!broken_ && SSL_get_error(session_.get(), done) == SSL_ERROR_WANT_READ)
        return Shake::waiting;
    return shakeFailed();
}

Stream::Shake Stream::shakeFailed() {
    broken_ = true;
    const long verified = SSL_get_verify_result(session_.get());
    if (verified != X509_V_OK && SSL_get_verify_mode(session_.get()) != SSL_VERIFY_NONE) {
        trouble_ = X509_verify_cert_error_string(verified);
        ERR_clear_error();
    } else {
        keepReason();
    }
    return Shake::failed;
}

void Stream::keepReason() {
    if (ERR_peek_error() != 0)
        trouble_ = takeReason();
    else if (eof_)
        trouble_ = "closed by the other side";
    else
        trouble_ = error_ != 0 ? ::strerrordesc_np(error_) : "unknown reason";
}

// Only what the library itself found wrong makes the stream unfit to say goodbye over.
IoResult Stream::afterFailure(int returned) {
    switch (SSL_get_error(session_.get(), returned)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE: drained_ = true; return {};
        case SSL_ERROR_ZERO_RETURN: return {IoResult::Kind::closed, 0, 0};
        default: break;
    }
    broken_ = true;
    if (trouble_.empty()) keepReason();
    ERR_clear_error();
    return {IoResult::Kind::failed, 0, error_ != 0 ? error_ : eof_ ? ECONNRESET : EPROTO};
}

IoResult Stream::receive(char* to, size_t room) {
    size_t got = 0;
    drained_ = false;
    while (got < room) {
        size_t n = 0;
        ERR_clear_error();
        const int returned = SSL_read_ex(session_.get(), to + got, room - got, &n);
        if (returned == 1) {
            got += n;
            continue;
        }
        // An end is told by the next call again, when what came before it has been taken.
        const IoResult ended = afterFailure(returned);
        if (got == 0) return ended;
        break;
    }
    return {IoResult::Kind::bytes, got, 0};
}

IoResult Stream::peek() {
    char byte = 0;
    size_t n = 0;
    ERR_clear_error();
    const int returned = SSL_peek_ex(session_.get(), &byte, 1, &n);
    return returned == 1 ? IoResult{IoResult::Kind::bytes, n, 0} : afterFailure(returned);
}

IoResult Stream::send(const iovec* parts, int count) {
    const IoResult failed{IoResult::Kind::failed, 0, error_ != 0 ? error_ : EPIPE};
    if (!flush()) return failed;
    if (!unsent_.empty()) return {};
    size_t total = 0;
    for (int i = 0; i < count; ++i) total += parts[i].iov_len;
    size_t taken = std::min(owed_, total);
    owed_ -= taken;
    while (taken < total) {
        const size_t n = sendRecord(parts, count, taken);
        if (n == 0) return failed;
        if (!unsent_.empty()) {
            owed_ = n;
            break;
        }
        taken += n;
    }
    return taken > 0 ? IoResult{IoResult::Kind::bytes, taken, 0} : IoResult{};
}

// One full record, drawn together where a part ends within it. 0: broken.
size_t Stream::sendRecord(const iovec* parts, int count, size_t from) {
    int i = 0;
    while (from >= parts[i].iov_len) from -= parts[i++].iov_len;
    const char* bytes = static_cast<const char*>(parts[i].iov_base) + from;
    size_t size = std::min(parts[i].iov_len - from, kRecord);
    char together[kRecord];
    if (size < kRecord && i + 1 < count) {
        std::memcpy(together, bytes, size);
        while (++i < count && size < kRecord) {
            const size_t more = std::min(parts[i].iov_len, kRecord - size);
            std::memcpy(together + size, parts[i].iov_base, more);
            size += more;
        }
        bytes = together;
    }
    size_t n = 0;
    ERR_clear_error();
    if (SSL_write_ex(session_.get(), bytes, size, &n) == 1) return n;
    broken_ = true;
    socket_dry_ = false;
    keepReason();
    ERR_clear_error();
    return 0;
}

void Stream::finish() {
    if (finishing_) return;
    finishing_ = true;
    ERR_clear_error();
    if (established_ && !broken_) SSL_shutdown(session_.get());
    ERR_clear_error();
    flush();
}

std::string_view Stream::protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(session_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

}  // namespace regrow::tls
