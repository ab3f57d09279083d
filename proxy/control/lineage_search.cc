#include "proxy/control/lineage_search.h"

namespace regrow::control {
namespace {

class Search final : public recovery::Operation {
  public:
    Search(recovery::LocalSteps& steps, std::vector<conf::Server> servers, std::string backend,
           std::move_only_function<void(std::optional<LineageFound>)> done)
        : steps_(steps),
          servers_(std::move(servers)),
          backend_(std::move(backend)),
          done_(std::move(done)) {
        std::erase_if(servers_, [](const auto& server) { return server.data.empty(); });
    }

    // False: there is nothing to look at, and `done` is not called.
    bool next() {
        if (at_ == servers_.size()) return false;
        looking_ = steps_.inspect({servers_[at_].data, backend_},
                                  [this](const Result<recovery::InspectResult>& seen) {
                                      look(servers_[at_++], seen);
                                      if (next()) return;
                                      auto done = std::move(done_);
                                      done(std::move(best_));  // may destroy *this
                                  });
        return true;
    }

  private:
    void look(const conf::Server& server, const Result<recovery::InspectResult>& seen) {
        if (!seen || seen->backend != backend_ || (best_ && best_->epoch >= seen->epoch)) return;
        best_ = LineageFound{server.name, seen->lineage, seen->epoch};
    }

    recovery::LocalSteps& steps_;
    std::vector<conf::Server> servers_;
    std::string backend_;
    std::move_only_function<void(std::optional<LineageFound>)> done_;
    size_t at_ = 0;
    std::optional<LineageFound> best_;
    recovery::Handle looking_;
};

}  // namespace

recovery::Handle findLineage(recovery::LocalSteps& steps, std::vector<conf::Server> servers,
                             std::string backend,
                             std::move_only_function<void(std::optional<LineageFound>)> done) {
    auto search =
        std::make_unique<Search>(steps, std::move(servers), std::move(backend), std::move(done));
    return search->next() ? std::move(search) : nullptr;
}

}  // namespace regrow::control
