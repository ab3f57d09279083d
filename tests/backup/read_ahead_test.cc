#include "backup/read_ahead.h"

#include <catch2/catch.hpp>

#include "tests/support/awkward_tree.h"
#include "tests/support/temp_dir.h"

using namespace regrow;
using namespace regrow::backup;

namespace {

struct Files {
    explicit Files(int count) {
        for (int i = 0; i < count; ++i) {
            const std::string name = "f" + std::to_string(1000 + i);
            test::put(dir / name, "content");
            list.push_back({name, 7});
        }
    }
    test::TempDir dir;
    std::vector<ReadAhead::File> list;
};

}  // namespace

TEST_CASE("reading ahead ends wherever the reader stops, and goes on past what is gone") {
    const Files files(600);
    for (const size_t stop_at : {size_t{0}, size_t{1}, size_t{300}, size_t{600}}) {
        auto list = files.list;
        list[5].path = "absent";
        std::ranges::sort(list, {}, &ReadAhead::File::path);
        ReadAhead ahead(*TreeDir::open(files.dir.path()), list);
        for (size_t i = 0; i < stop_at; ++i) ahead.reached(list[i].path);
    }
}

TEST_CASE("a reader may pass by names that are not read ahead") {
    const Files files(20);
    ReadAhead ahead(*TreeDir::open(files.dir.path()), files.list);
    ahead.reached("a");
    ahead.reached("f1007x");
    ahead.reached("z");
}
