#pragma once

#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include "tests/support/temp_dir.h"

namespace regrow::test {

// Certificates made for one test by the openssl command, in a directory that goes with it. Keys are
// P-256: quick to make.
class TlsFiles {
  public:
    struct Pair {
        std::string certificate;
        std::string key;
    };

    // A certificate that signs others.
    Pair authority(const std::string& name) {
        const Pair made = pairOf(name);
        run("req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -days 30 -subj '/CN=" +
            name + "' -keyout " + made.key + " -out " + made.certificate);
        return made;
    }
    // One for `alternatives` ("DNS:a.test,IP:127.0.0.1"), signed by `authority`.
    Pair leaf(const std::string& name, const std::string& alternatives, const Pair& authority,
              int days = 30, const std::string& subject = "") {
        const Pair made = pairOf(name);
        const std::string request = path(name + ".csr");
        const std::string extensions = path(name + ".ext");
        std::ofstream(extensions) << "subjectAltName=" << alternatives << "\n";
        run("req -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj '" +
            (subject.empty() ? "/CN=" + name : subject) + "' -keyout " + made.key + " -out " +
            request);
        run("x509 -req -in " + request + " -CA " + authority.certificate + " -CAkey " +
            authority.key + " -CAcreateserial -days " + std::to_string(days) + " -extfile " +
            extensions + " -out " + made.certificate);
        return made;
    }
    std::string path(const std::string& file) const { return directory_.path() + "/" + file; }
    std::string write(const std::string& file, const std::string& content) const {
        std::ofstream(path(file)) << content;
        return path(file);
    }
    void run(const std::string& arguments) const {
        const std::string command = "openssl " + arguments + " 2>>" + path("openssl.log");
        if (std::system(command.c_str()) != 0)  // NOLINT(concurrency-mt-unsafe)
            throw std::runtime_error("failed: " + command);
    }

  private:
    Pair pairOf(const std::string& name) const {
        return {path(name + ".pem"), path(name + ".key")};
    }

    TempDir directory_;
};

}  // namespace regrow::test
