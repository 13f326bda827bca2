// How many requests per second the accounts of a server take: admitted, settled, and on the disk.
//
//   r1_bench_ledger [FOLDER]    (on the disk that shall be measured; default: a temporary folder)

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <semaphore>

#include "serve/accounts/accounts.h"
#include "serve/accounts/key_store.h"

namespace {

namespace fs = std::filesystem;
using namespace r1::serve;

constexpr const char* kPrices =
    "currency: USD\nmodels:\n  nano: {cache_hit: 0.14, cache_miss: 0.55, output: 2.19}\n";
constexpr double kSeconds = 2.0;
constexpr int kMostInFlight = 1024;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void measure(Accounts& accounts, const Key& key, int in_flight) {
  // Shared with the callbacks, the last of which may still be in it when all have called.
  const auto free = std::make_shared<std::counting_semaphore<kMostInFlight>>(in_flight);
  long count = 0;
  const auto start = std::chrono::steady_clock::now();
  for (; seconds_since(start) < kSeconds; ++count) {
    free->acquire();
    auto admitted = accounts.admit(key, {fmt::format("{}-{}", in_flight, count), "nano", 100, 100});
    accounts.settle(std::get<Admission>(std::move(admitted)), {64, 36, 100, 80}, Outcome::finished,
                    [free](const Charge&, std::exception_ptr) { free->release(); });
  }
  for (int i = 0; i < in_flight; ++i) free->acquire();
  fmt::print("{:>9} {:>12.0f}\n", in_flight, static_cast<double>(count) / seconds_since(start));
}

void run(const fs::path& file) {
  KeyStore keys(file);
  const KeyBalance balance = {{}, Money::parse("1000000", "")};
  const KeyStore::NewKey made = keys.add({.name = "bench", .balance = balance});
  Accounts accounts(
      {.file = file, .require_keys = true, .prices = PriceTable::parse(kPrices, "prices")});
  const Key key = std::get<Key>(accounts.authenticate(made.text));
  fmt::print("in flight   requests/s\n");
  for (const int in_flight : {1, 4, 16, 64, 256, 1024}) measure(accounts, key, in_flight);

  constexpr int kTimes = 20'000;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kTimes; ++i) (void)accounts.authenticate(made.text);
  fmt::print("authenticate: {:.1f} us\n", 1e6 * seconds_since(start) / kTimes);
}

}  // namespace

int main(int argc, char** argv) {
  const fs::path parent = argc > 1 ? fs::path(argv[1]) : fs::temp_directory_path();
  const fs::path folder = parent / fmt::format("r1-bench-ledger-{}", ::getpid());
  try {
    run(folder / "accounts.db");
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
  fs::remove_all(folder);
}
