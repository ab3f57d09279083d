#pragma once

#include <optional>
#include <string>

#include "base/child_process.h"
#include "base/http_client.h"
#include "base/result.h"

// What the demo runs on: a directory of its own with a key, a configuration, a proxy of our own
// binary and the servers it supervises. The processes end with the demo, however it ends; the
// directory stays, for `regrow run -c` to go on from.
namespace regrow::cli {

struct DemoOptions {
    std::string scenario = "host-loss";  // crash host-loss hang flap corrupt-backup
    std::string app = "radicale";
    std::string listen = "127.0.0.1:8080";
    std::string admin = "127.0.0.1:9901";
    bool keep = false;
    bool json = false;
};

class DemoWorld {
  public:
    // Makes the directory and starts the proxy. Errors, after which nothing is left: radicale is
    // not installed, an address is taken.
    static Result<DemoWorld> start(const DemoOptions& options);
    DemoWorld(DemoWorld&&) = default;
    DemoWorld& operator=(DemoWorld&&) = delete;
    // Ends the proxy and every server it started. The files stay.
    void end();

    const std::string& directory() const { return directory_; }
    std::string configFile() const { return directory_ + "/regrow.yaml"; }
    std::string logFile() const { return directory_ + "/regrow.log"; }
    std::string dataOf(const std::string& server) const { return directory_ + "/" + server; }
    std::string repository() const { return directory_ + "/backups"; }
    bool running() const;  // the proxy is

  private:
    DemoWorld(std::string directory, DemoOptions options)
        : directory_(std::move(directory)), options_(std::move(options)) {}
    Result<> writeFiles() const;
    Result<> startProxy();

    std::string directory_;
    DemoOptions options_;
    ChildProcess proxy_;
};

// Addresses that can be served: each with a port, and not the same one twice.
Result<> checkDemoAddresses(const DemoOptions& options);

// The configuration the demo writes: a working example for `regrow run -c`. Ports of the servers
// are free ones.
std::string demoConfig(const DemoOptions& options, const std::string& directory,
                       const std::vector<uint16_t>& ports);

}  // namespace regrow::cli
