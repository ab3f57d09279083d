#include "base/http/chars.h"
#include "proxy/http/compression.h"
#include "proxy/serve/client_stream.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/worker.h"

// Encoding a response's content on its way to the client.
namespace regrow::serve {
namespace {

using http::Field;
using http::FieldId;

void addField(http::FieldList& fields, std::string_view name, std::string_view value, FieldId id) {
    Field field{name.data(),
                value.data(),
                static_cast<uint32_t>(value.size()),
                static_cast<uint16_t>(name.size()),
                id,
                false};
    fields.add(field);  // without room the client takes the response as it is: Content-Encoding is
                        // added first, and by then one place has become free
}

bool variesAlready(const http::FieldList& fields) {
    for (const Field& f : fields) {
        if (f.drop || !http::equalsIgnoringCase(f.name(), "vary")) continue;
        std::string_view list = f.value(), element;
        while (http::nextElement(list, element))
            if (element == "*" || http::equalsIgnoringCase(element, "accept-encoding")) return true;
    }
    return false;
}

// What speaks of the bytes as the backend sent them.
bool describesBytes(const Field& f) {
    for (const std::string_view name :
         {"accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"})
        if (http::equalsIgnoringCase(f.name(), name)) return true;
    return false;
}

}  // namespace

void Exchange::chooseCoding(const http::RequestHead& head) {
    if (version_ == http::Version::http10 || proxy::forbidsTransforming(head.fields)) return;
    std::array<char, 1024> list{};  // of all such fields; nobody's is longer
    proxy::HeadWriter accepted(list.data(), list.size());
    for (const Field& f : head.fields) {
        if (http::equalsIgnoringCase(f.name(), "accept-encoding"))
            accepted.add(f.value()), accepted.add(", ");
        if (http::equalsIgnoringCase(f.name(), "if-none-match"))
            weakly_ = weakly_ || f.value().find("W/\"") != std::string_view::npos;
    }
    if (!accepted.full()) coding_ = proxy::chooseCoding(accepted.text(), pool_->compress);
}

// Rewrites the head for an encoded body, when there will be one or, to a HEAD, would be.
void Exchange::considerEncoding(http::ResponseHead& head) {
    if (head.fields.size() + 2 > http::FieldList::kCapacity) return;
    if (head.status == 304) return considerTag(head);
    const bool body = method_ != http::Method::head;
    if (!proxy::compressible(head, body ? method_ : http::Method::get, pool_->compress)) return;
    if (!variesAlready(head.fields))
        addField(head.fields, "Vary", "Accept-Encoding", FieldId::other);
    if (coding_ == conf::Coding::identity) return;
    if (body) encoder_ = std::make_unique<BodyEncoder>(coding_, client_->framed());
    for (Field& f : head.fields) f.drop = f.drop || describesBytes(f);
    weakenTag(head);
    addField(head.fields, "Content-Encoding", proxy::textOf(coding_), FieldId::content_encoding);
    head.has_content_length = false;
    head.chunked = true;
}

// The backend says of its tag that it still holds. A client that named the weak one, which it had
// of us with an encoded body, must find that in the answer (RFC 9110 15.4.5).
void Exchange::considerTag(http::ResponseHead& head) {
    if (!weakly_) return;
    weakenTag(head);
    if (!variesAlready(head.fields))
        addField(head.fields, "Vary", "Accept-Encoding", FieldId::other);
}

// "abc" becomes W/"abc": the same content, in other bytes (RFC 9110 8.8.3).
void Exchange::weakenTag(http::ResponseHead& head) {
    for (Field& f : head.fields) {
        if (f.drop || !http::equalsIgnoringCase(f.name(), "etag") || f.value().starts_with("W/"))
            continue;
        tag_.assign("W/").append(f.value());
        f.value_data = tag_.data();
        f.value_size = static_cast<uint32_t>(tag_.size());
    }
}

// Draws what was received through the encoder until it has something to send. `waiting`: the
// backend pauses, so the client shall have all there is.
void Exchange::encodeResponse(bool waiting) {
    while (encoder_->out().empty() && !encoder_->ended() && !encoder_->failed()) {
        const bool work =
            !response_.out().empty() || response_.received() || (waiting && encoder_->holdsBack());
        if (!work) return;
        response_.sent(
            encoder_->take(response_.out(), response_.received(), waiting, worker_.buffers));
    }
}

std::string_view Exchange::responseOut() const {
    return encoder_ ? encoder_->out() : response_.out();
}

void Exchange::responseTaken(size_t bytes) {
    sent_to_client_ += bytes;
    if (encoder_)
        encoder_->sent(bytes);
    else
        response_.sent(bytes);
}

void Exchange::dropEncoder() {
    if (!encoder_) return;
    encoder_->release(worker_.buffers);
    encoder_.reset();
}

}  // namespace regrow::serve
