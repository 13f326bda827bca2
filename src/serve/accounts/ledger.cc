#include "serve/accounts/ledger.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/error.h"
#include "serve/accounts/accounts_file.h"

namespace r1::serve {
namespace {

constexpr std::chrono::milliseconds kRetry{250};

std::int64_t number(RequestState state) { return static_cast<std::int64_t>(state); }

constexpr const char* kInsert =
    "INSERT INTO requests (id, key_id, model, state, admitted, reserved) VALUES (?, ?, ?, 0, ?, ?) "
    "ON CONFLICT (id) DO NOTHING";

// The row may be missing: when the transaction failed that should have opened it.
constexpr const char* kClose =
    "INSERT INTO requests (id, key_id, model, state, admitted, reserved, ended, cache_hit_tokens, "
    "cache_miss_tokens, completion_tokens, reasoning_tokens, charge) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET state = excluded.state, ended = excluded.ended, "
    "cache_hit_tokens = excluded.cache_hit_tokens, "
    "cache_miss_tokens = excluded.cache_miss_tokens, "
    "completion_tokens = excluded.completion_tokens, "
    "reasoning_tokens = excluded.reasoning_tokens, charge = excluded.charge WHERE state = 0";

// Granted money is spent first; ?1 is the charge, ?2 the key.
constexpr const char* kDebit =
    "UPDATE keys SET granted = granted - min(max(granted, 0), ?1), "
    "topped_up = topped_up - (?1 - min(max(granted, 0), ?1)) "
    "WHERE id = ?2 AND granted IS NOT NULL";

}  // namespace

Ledger::Lock::Lock(const std::filesystem::path& file) {
  std::filesystem::path path = std::filesystem::canonical(file);  // one lock for all its names
  path += ".lock";
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (fd_ >= 0) ::close(fd_);
    throw Error(file.native(), "is in use by another server",
                "give each server an accounts file of its own");
  }
}

Ledger::Lock::~Lock() { ::close(fd_); }

Ledger::Ledger(const std::filesystem::path& file, std::string_view currency, Clock clock)
    : clock_(std::move(clock)),
      database_(open_accounts_file(file)),
      lock_(file),
      insert_(database_.prepare(kInsert)),
      close_(database_.prepare(kClose)),
      debit_(database_.prepare(kDebit)),
      charge_of_(database_.prepare("SELECT charge FROM requests WHERE id = ?")),
      touch_(database_.prepare("INSERT INTO settings (name, value) VALUES ('written', ?1) "
                               "ON CONFLICT (name) DO UPDATE SET value = ?1")) {
  Transaction transaction(database_);
  check_currency(currency);
  settle_interrupted();
  transaction.commit();
  sum_today();
  writer_ = std::thread([this] { write_batches(); });
}

Ledger::~Ledger() {
  {
    const std::lock_guard guard(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

void Ledger::check_currency(std::string_view currency) {
  std::string known;
  database_.prepare("SELECT value FROM settings WHERE name = 'currency'")
      .for_each([&](const Statement& row) { known = row.text(0); });
  if (known.empty()) {
    database_.prepare("INSERT INTO settings (name, value) VALUES ('currency', ?)").run(currency);
  } else if (known != currency) {
    throw Error(database_.file().native(),
                fmt::format("is in {}, the prices are in {}", known, currency),
                "give another accounts file, or prices in its currency");
  }
}

void Ledger::settle_interrupted() {
  interrupted_ = database_.prepare("UPDATE requests SET state = ?, ended = ? WHERE state = 0")
                     .run(number(RequestState::interrupted), milliseconds(clock_.wall()));
}

void Ledger::sum_today() {
  const WallTime midnight = std::chrono::floor<std::chrono::days>(clock_.wall());
  database_
      .prepare(
          "SELECT key_id, sum(cache_hit_tokens + cache_miss_tokens + completion_tokens) "
          "FROM requests WHERE ended >= ? GROUP BY key_id")
      .for_each([&](const Statement& row) { used_today_[row.text(0)] = row.integer(1); },
                milliseconds(midnight));
}

void Ledger::open(LedgerRequest request) {
  Entry entry;
  entry.request = std::move(request);
  enqueue(std::move(entry));
}

void Ledger::close(LedgerRequest request, RequestState state, const Usage& usage, Money charge,
                   Closed closed) {
  R1_CHECK(state != RequestState::open && state != RequestState::interrupted, "state {}",
           number(state));
  enqueue({std::move(request), state, usage, charge, clock_.wall(), std::move(closed)});
}

void Ledger::enqueue(Entry entry) {
  {
    const std::lock_guard guard(mutex_);
    queue_.push_back(std::move(entry));
  }
  wake_.notify_one();
}

bool Ledger::writable() const {
  const std::lock_guard guard(mutex_);
  return writable_;
}

void Ledger::write_batches() {
  std::vector<Entry> batch;
  for (;;) {
    {
      std::unique_lock guard(mutex_);
      const auto awake = [this] { return stop_ || !queue_.empty(); };
      if (writable_) {
        wake_.wait(guard, awake);
      } else {
        // A batch of nothing tries whether the file can be written again.
        wake_.wait_for(guard, kRetry, awake);
      }
      if (stop_ && queue_.empty()) return;
      batch.swap(queue_);
    }
    std::exception_ptr failure;
    try {
      write(batch);
    } catch (...) {
      failure = std::current_exception();
    }
    {
      const std::lock_guard guard(mutex_);
      writable_ = failure == nullptr;
    }
    for (Entry& entry : batch) {
      if (entry.closed) entry.closed(entry.charge, failure);
    }
    batch.clear();
  }
}

void Ledger::write(std::vector<Entry>& batch) {
  Transaction transaction(database_);
  if (batch.empty()) touch_.run(fmt::format("{}", milliseconds(clock_.wall())));
  for (Entry& entry : batch) {
    const LedgerRequest& request = entry.request;
    if (entry.state == RequestState::open) {
      insert_.run(request.id, request.key_id, request.model, milliseconds(request.admitted),
                  request.reserved.picos());
    } else {
      close_row(entry);
    }
  }
  transaction.commit();
}

void Ledger::close_row(Entry& entry) {
  const LedgerRequest& request = entry.request;
  const Usage& usage = entry.usage;
  const std::int64_t closed =
      close_.run(request.id, request.key_id, request.model, number(entry.state),
                 milliseconds(request.admitted), request.reserved.picos(),
                 milliseconds(entry.ended), usage.cache_hit_tokens, usage.cache_miss_tokens,
                 usage.completion_tokens, usage.reasoning_tokens, entry.charge.picos());
  if (closed == 0) {
    charge_of_.for_each(
        [&](const Statement& row) { entry.charge = Money::from_picos(row.integer(0)); },
        request.id);
  } else if (entry.charge != Money()) {
    debit_.run(entry.charge.picos(), request.key_id);
  }
}

}  // namespace r1::serve
