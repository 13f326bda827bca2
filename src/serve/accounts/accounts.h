#pragma once

#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "serve/accounts/clock.h"
#include "serve/accounts/key.h"
#include "serve/accounts/price_table.h"
#include "serve/accounts/refusal.h"
#include "serve/accounts/usage.h"

// Keys, limits and money as a server calls them, in this order for every request:
//
//   auto key = accounts.authenticate(token);          // Key or Refusal
//   auto admitted = accounts.admit(key, {...});       // Admission or Refusal; prompt is tokenised
//   ... compute, stream all but the end of the reply ...
//   accounts.settle(std::move(admission), usage, Outcome::finished, [](Charge, failure) {
//     ... the usage is on the disk: send the end of the reply ...
//   });
//
// A request whose reply ended is billed, and once, whenever the process is killed: the end is sent
// only after the commit. A request that was cut by a kill is recorded as interrupted and free
// (ledger.h).
namespace r1::serve {

struct AccountsSettings {
  std::filesystem::path file = {};  // keys and ledger; empty: nothing is recorded
  bool require_keys = false;        // needs a file; without it everybody may do everything
  PriceTable prices = {};
};

struct AdmissionRequest {
  std::string request_id;  // unique; what x-request-id says
  std::string model;       // the name that prices and permissions go by
  std::int64_t prompt_tokens = 0;
  std::int64_t max_output_tokens = 0;  // of all choices together
};

struct Charge {
  Money amount;
  std::string currency;
};

// Called once, from the ledger's thread: hand over to your own and return. `failure` is null unless
// the usage could not be written (a full disk); then the end of the reply must not be sent.
using Settled = std::function<void(const Charge& charge, std::exception_ptr failure)>;

// A request under way: one of its key's concurrent requests, its worst-case price held back from
// the balance. Destroyed without being settled (an exception on the way), it is recorded as failed
// and free. Movable; must not outlive its Accounts.
class Admission {
 public:
  Admission(Admission&& other) noexcept;
  Admission& operator=(Admission&& other) noexcept;
  ~Admission();

  const std::string& request_id() const;
  const std::string& key_id() const;  // what fairness among keys goes by; empty without keys
  const RateLimits& rate_limits() const;

 private:
  friend class Accounts;
  struct State;
  explicit Admission(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Thread-safe. Keys are read anew for every request, so what `r1 keys` changes holds at once.
class Accounts {
 public:
  // Creates the file if it is missing, and settles what a killed server left open. Throws Error for
  // a file that others can read, that another server uses, or whose currency is not the prices'.
  explicit Accounts(AccountsSettings settings = {}, Clock clock = {});
  ~Accounts();

  bool keys_required() const;
  const PriceTable& prices() const;
  // False while usage cannot be written: for /ready.
  bool ready() const;

  // token: what stands after "Bearer ", or in x-api-key; empty if there is none.
  std::variant<Key, Refusal> authenticate(std::string_view token) const;
  // Does not wait for the disk.
  std::variant<Admission, Refusal> admit(const Key& key, const AdmissionRequest& request);

  // The request's end. Returns at once; usage, charge and the key's new balance are written in one
  // transaction, and `done` is called after it. The slot is free when this returns, what was held
  // back of the balance with `done`.
  void settle(Admission admission, const Usage& usage, Outcome outcome, Settled done);
  std::future<Charge> settle(Admission admission, const Usage& usage,
                             Outcome outcome = Outcome::finished);

  struct Balance {
    std::string currency;
    KeyBalance amount;
    bool available = false;  // something is left
  };
  // For DeepSeek's /user/balance; none for a key that money does not limit.
  std::optional<Balance> balance(const Key& key) const;

 private:
  friend class Admission;
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace r1::serve
