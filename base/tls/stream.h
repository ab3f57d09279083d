#pragma once

#include <sys/uio.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/io_result.h"
#include "base/tls/openssl.h"
#include "base/tls/peer.h"

namespace regrow::tls {

// TLS over a connected, non-blocking socket that somebody else owns and watches: handshake, then
// bytes both ways. The same calls and outcomes as a plain socket, so that whoever reads and writes
// need not know:
//
// - Sending takes plaintext a record at a time and says `bytes` only for what the kernel has taken,
//   so "all sent" means sent. What the kernel did not take of a record is kept here, at most one
//   record, and goes first next time: the library itself never finds the socket full, so no call
//   has to be repeated with the same bytes, and reading never waits for writing.
// - Receiving reads on until nothing is left, in the socket or decrypted. After a short read the
//   socket is dry until the loop reports more (noteReadable), which saves the read that would say
//   so, as for plain sockets.
// - `closed` is a close_notify only. An end of file without one is `failed`: somebody may have cut
//   the stream.
//
// One thread. Must not move: the library holds its address.
class Stream {
  public:
    enum class Shake : uint8_t {
        done,
        waiting,  // for the peer
        not_tls,  // a client that speaks something else; its bytes are lost
        failed,   // trouble() says why; an alert is on its way to the peer
    };

    // `keeper` lives as long as the stream: what the session's callbacks point into.
    Stream(SessionPtr session, int fd, std::shared_ptr<const void> keeper = {});
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    Shake handshake();
    bool established() const { return established_; }

    IoResult receive(char* to, size_t room);
    IoResult send(const iovec* parts, int count);
    // What a receive would say, without taking anything.
    IoResult peek();
    // The last receive left nothing behind that no event would announce.
    bool dry() const { return drained_; }

    // What the loop reported of the socket: something to read; `ended` when the end is known to
    // follow what is there.
    void noteReadable(bool ended) {
        socket_dry_ = false;
        fin_ = fin_ || ended;
    }
    // Sends what the kernel did not take before. False: the connection is broken.
    bool flush();
    bool flushed() const { return unsent_.empty(); }
    bool heard() const { return heard_; }  // a byte came, good or bad
    // Sends close_notify, then the end of file as soon as the kernel has taken all.
    void finish();

    SSL* session() const { return session_.get(); }
    const void* keeper() const { return keeper_.get(); }
    std::string_view protocol() const;  // chosen by ALPN; empty: none
    // A client that was asked who it is; null when none was asked.
    const PeerCertificate* client() const { return client_.get(); }
    const std::string& trouble() const { return trouble_; }

  private:
    friend struct SocketBio;
    long readSocket(char* to, size_t room);  // -1: try again later, -2: broken
    bool writeSocket(std::string_view bytes);
    IoResult afterFailure(int returned);
    Shake shakeFailed();
    size_t sendRecord(const iovec* parts, int count, size_t from);
    void keepReason();

    SessionPtr session_;
    std::shared_ptr<const void> keeper_;
    std::string unsent_;  // ciphertext
    size_t owed_ = 0;     // plaintext in there that has not been reported as sent
    std::string trouble_;
    std::unique_ptr<const PeerCertificate> client_;
    int fd_;
    int error_ = 0;  // errno of the socket
    bool server_;
    bool established_ = false;
    bool broken_ = false;  // nothing more can be sent or received
    bool finishing_ = false;
    bool drained_ = false;
    bool socket_dry_ = false;
    bool fin_ = false;
    bool eof_ = false;
    bool heard_ = false;
    bool not_tls_ = false;
};

}  // namespace regrow::tls
