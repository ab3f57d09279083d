#include "proxy/serve/late_answer.h"

#include <utility>

#include "proxy/serve/worker.h"

namespace regrow::serve {

void LateAnswer::adopt(BackendStream& stream, Duration patience) {
    stream_ = &stream;
    stream.user = this;
    worker_.deadlines.set(deadline_, worker_.now() + patience);
}

void LateAnswer::onUpstreamEvent(BackendStream& from, bool readable, bool) {
    if (&from != stream_ || !readable) return;
    http::ResponseHead* head = nullptr;
    const BackendStream::Answer answer = from.readHead(head);
    if (answer == BackendStream::Answer::none) return;
    Silence& silence = from.place->silence;
    end();
    if (answer != BackendStream::Answer::head) return;
    worker_.response_heads.giveBack(*head);
    silence.heard(worker_.now());
}

void LateAnswer::onFenced(BackendStream& from) {
    if (&from != stream_) return;
    from.place->silence.left();
    stream_ = nullptr;
    deadline_.clear();
}

void LateAnswer::onTooLate() {
    if (!stream_) return;
    Place& place = *stream_->place;
    place.shard->timeouts.add();
    place.stats->failures.fetch_add(1, std::memory_order_relaxed);
    worker_.observer.see(place.slot, stream_->epoch, Observation::Kind::no_first_byte,
                         "no first byte in time");
    end();
}

void LateAnswer::end() {
    deadline_.clear();
    stream_->place->silence.left();
    std::exchange(stream_, nullptr)->finish(false);
}

}  // namespace regrow::serve
