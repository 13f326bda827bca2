#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "serve/accounts/clock.h"
#include "serve/accounts/money.h"
#include "serve/accounts/sqlite.h"
#include "serve/accounts/usage.h"

namespace r1::serve {

// How a request stands in the ledger; the numbers are those of the file.
enum class RequestState : std::int64_t {
  open = 0,         // admitted
  finished = 1,     // charged; the end of the reply was sent after that
  cancelled = 2,    // the client left; charged for what was computed
  failed = 3,       // charged for what the server said
  interrupted = 4,  // its server was killed; free
};

// A request as it was admitted.
struct LedgerRequest {
  std::string id;
  std::string key_id;  // empty without keys
  std::string model;
  WallTime admitted{};
  Money reserved;
};

// Who used what, written so that a kill at any instant leaves no reply unbilled that was delivered
// to its end, and none billed twice:
//
// 1. open() writes a row in state "open". close() writes usage, charge and end of that row and
//    takes the charge from the key's balance, in one transaction; only rows that are open change,
//    so a request is charged at most once, however often it is closed.
// 2. The caller sends the end of a reply only after close() reported its commit. A reply that was
//    delivered to its end is therefore billed; one that was billed may have lost its end to a kill
//    or a broken line.
// 3. A new ledger finds the open rows of a server that was killed. Their replies cannot have
//    ended, so they are closed as "interrupted", without usage or charge.
//
// One thread writes. What others asked for meanwhile goes into its next transaction (group commit),
// so that one flush to the disk (synchronous = FULL, which survives a power cut, too) serves many
// requests.
class Ledger {
 public:
  // Throws Error if another ledger has the file, or it is in another currency. What is settled by
  // rule 3 is settled when this returns.
  Ledger(const std::filesystem::path& file, std::string_view currency, Clock clock = {});
  // Writes what was asked for, then ends.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // How many requests rule 3 closed.
  std::int64_t interrupted() const { return interrupted_; }
  // Tokens that each key used since midnight UTC, when the ledger was opened.
  const std::map<std::string, std::int64_t>& used_today() const { return used_today_; }

  // Does not wait.
  void open(LedgerRequest request);
  // charge: what the request cost; of a request closed before, what it cost then. failure: null, or
  // why nothing was written.
  using Closed = std::function<void(Money charge, std::exception_ptr failure)>;
  // Does not wait; `closed` is called from the writing thread and must not throw. state: finished,
  // cancelled or failed.
  void close(LedgerRequest request, RequestState state, const Usage& usage, Money charge,
             Closed closed);

  // False from a failed transaction on until one succeeds; it is tried four times a second.
  bool writable() const;

 private:
  struct Entry {
    LedgerRequest request;
    RequestState state = RequestState::open;
    Usage usage;
    Money charge;
    WallTime ended{};
    Closed closed;
  };
  class Lock {
   public:
    explicit Lock(const std::filesystem::path& file);
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    int fd_ = -1;
  };

  void check_currency(std::string_view currency);
  void settle_interrupted();
  void sum_today();
  void enqueue(Entry entry);
  void write_batches();
  void write(std::vector<Entry>& batch);
  void close_row(Entry& entry);

  Clock clock_;
  Database database_;
  Lock lock_;
  Statement insert_, close_, debit_, charge_of_, touch_;
  std::int64_t interrupted_ = 0;
  std::map<std::string, std::int64_t> used_today_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Entry> queue_;
  bool stop_ = false;
  bool writable_ = true;
  std::thread writer_;
};

}  // namespace r1::serve
