#include "serve/accounts/accounts.h"

#include <mutex>
#include <set>
#include <utility>

#include "base/error.h"
#include "serve/accounts/accounts_file.h"
#include "serve/accounts/key_store.h"
#include "serve/accounts/ledger.h"
#include "serve/accounts/quotas.h"

namespace r1::serve {
namespace {

using Reason = Refusal::Reason;

Refusal refusal(Reason reason, int status, std::string_view type, std::string_view code,
                std::string message, std::optional<std::int64_t> retry_after = std::nullopt) {
  return {.reason = reason,
          .status = status,
          .type = std::string(type),
          .code = std::string(code),
          .message = std::move(message),
          .retry_after = retry_after};
}

Refusal invalid_key(std::string message) {
  return refusal(Reason::invalid_key, 401, "authentication_error", "invalid_api_key",
                 std::move(message));
}

RequestState state_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::finished:
      return RequestState::finished;
    case Outcome::cancelled:
      return RequestState::cancelled;
    case Outcome::failed:
      break;
  }
  return RequestState::failed;
}

bool valid_count(std::int64_t tokens) { return tokens >= 0 && tokens <= kMaxRequestTokens; }

// What a server reads of the accounts file, beside the ledger's own connection.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& file)
      : database_(open_accounts_file(file)),
        keys_(database_),
        known_(database_.prepare("SELECT 1 FROM requests WHERE id = ?")) {}

  std::optional<KeyReader::Stored> key(std::string_view id) {
    const std::lock_guard guard(mutex_);
    return keys_.by_id(id);
  }
  std::optional<KeyBalance> balance(std::string_view key_id) {
    const std::lock_guard guard(mutex_);
    return keys_.balance(key_id);
  }
  bool knows_request(std::string_view id) {
    const std::lock_guard guard(mutex_);
    bool known = false;
    known_.for_each([&](const Statement&) { known = true; }, id);
    return known;
  }

 private:
  std::mutex mutex_;
  Database database_;
  KeyReader keys_;
  Statement known_;
};

}  // namespace

struct Admission::State {
  Accounts::Impl* accounts = nullptr;
  LedgerRequest request;
  Price price;
  Quotas::Demand demand;
  RateLimits rate_limits;
};

class Accounts::Impl {
 public:
  Impl(AccountsSettings settings, Clock clock)
      : settings_(std::move(settings)), clock_(std::move(clock)), quotas_(clock_) {
    if (settings_.require_keys && settings_.file.empty()) {
      throw Error("accounts", "keys are asked for, but there is no file with keys",
                  "r1 keys add NAME makes one");
    }
    if (settings_.file.empty()) return;
    reader_.emplace(settings_.file);
    ledger_.emplace(settings_.file, settings_.prices.currency(), clock_);
    for (const auto& [key_id, tokens] : ledger_->used_today()) {
      quotas_.add_used_today(key_id, tokens);
    }
  }

  const AccountsSettings& settings() const { return settings_; }
  bool ready() const { return !ledger_ || ledger_->writable(); }

  std::variant<Key, Refusal> authenticate(std::string_view token);
  std::variant<Admission, Refusal> admit(const Key& key, const AdmissionRequest& request);
  void settle(std::unique_ptr<Admission::State> state, const Usage& usage, Outcome outcome,
              Settled done);
  std::optional<KeyBalance> balance(const Key& key) {
    return reader_ && !key.id.empty() ? reader_->balance(key.id) : std::nullopt;
  }

 private:
  std::optional<Refusal> check(const Key& key, const AdmissionRequest& request,
                               const Price* price) const;

  AccountsSettings settings_;
  Clock clock_;
  std::optional<Reader> reader_;
  std::mutex mutex_;  // of what follows
  Quotas quotas_;
  std::set<std::string, std::less<>> under_way_;  // requests whose end is not in the file yet
  // Last, so that it ends first: its thread calls back.
  std::optional<Ledger> ledger_;
};

std::variant<Key, Refusal> Accounts::Impl::authenticate(std::string_view token) {
  if (!settings_.require_keys) return Key();
  if (token.empty()) {
    return refusal(Reason::missing_key, 401, "authentication_error", "invalid_api_key",
                   "An API key is needed: send Authorization: Bearer YOUR_KEY");
  }
  const std::string_view id = key_id_of(token);
  if (id.empty()) return invalid_key("The API key is not valid");
  const std::optional<KeyReader::Stored> stored = reader_->key(id);
  // The comparison is made for ids that do not exist, too: they take as long.
  if (!matches(token, stored ? stored->secret : StoredSecret{}) || !stored) {
    return invalid_key("The API key is not valid");
  }
  const Key& key = stored->key;
  if (key.revoked) return invalid_key("The API key was revoked");
  if (key.expires && *key.expires <= clock_.wall()) return invalid_key("The API key has expired");
  if (key.disabled) return invalid_key("The API key is disabled");
  return key;
}

std::optional<Refusal> Accounts::Impl::check(const Key& key, const AdmissionRequest& request,
                                             const Price* price) const {
  if (!key.may_use(request.model)) {
    return refusal(Reason::model_not_allowed, 403, "permission_error", "model_not_allowed",
                   fmt::format("The API key may not use the model '{}'", request.model));
  }
  if (!valid_count(request.prompt_tokens) || !valid_count(request.max_output_tokens)) {
    return refusal(Reason::too_large, 400, "invalid_request_error", "request_too_large",
                   fmt::format("Prompt and output may have at most {} tokens", kMaxRequestTokens));
  }
  if (price == nullptr) {
    return refusal(
        Reason::no_price, 500, "server_error", "no_price",
        fmt::format("The model '{}' has no price; its operator must add one", request.model));
  }
  if (ledger_ && !ledger_->writable()) {
    return refusal(Reason::ledger, 503, "server_error", "ledger_unavailable",
                   "Usage cannot be recorded at the moment; try again later", 2);
  }
  return std::nullopt;
}

std::variant<Admission, Refusal> Accounts::Impl::admit(const Key& key,
                                                       const AdmissionRequest& request) {
  const Price* price = settings_.prices.find(request.model);
  if (std::optional<Refusal> refused = check(key, request, price)) return *std::move(refused);
  const Quotas::Demand demand = {
      request.prompt_tokens + request.max_output_tokens,
      price->worst_case(request.prompt_tokens, request.max_output_tokens)};

  const std::lock_guard guard(mutex_);
  if (under_way_.contains(request.request_id) ||
      (reader_ && reader_->knows_request(request.request_id))) {
    return refusal(Reason::duplicate, 409, "invalid_request_error", "duplicate_request",
                   "A request with this id is known already");
  }
  // Read under the lock: a charge leaves `held` only after it has left the balance.
  Key now = key;
  now.balance = balance(key);
  if (std::optional<Refusal> refused = quotas_.take(now, demand)) return *std::move(refused);
  under_way_.insert(request.request_id);

  auto state = std::make_unique<Admission::State>();
  state->accounts = this;
  state->request = {request.request_id, key.id, request.model, clock_.wall(), demand.price};
  state->price = *price;
  state->demand = demand;
  state->rate_limits = quotas_.rate_limits(now);
  if (ledger_) ledger_->open(state->request);
  return Admission(std::move(state));
}

void Accounts::Impl::settle(std::unique_ptr<Admission::State> state, const Usage& usage,
                            Outcome outcome, Settled done) {
  for (const std::int64_t count : {usage.cache_hit_tokens, usage.cache_miss_tokens,
                                   usage.completion_tokens, usage.reasoning_tokens}) {
    R1_CHECK(valid_count(count), "{} tokens of {}", count, state->request.id);
  }
  const Money charge = state->price.of(usage);
  {
    const std::lock_guard guard(mutex_);
    quotas_.end(state->request.key_id, state->demand, usage.total_tokens());
  }
  const auto closed = [this, id = state->request.id, key_id = state->request.key_id,
                       demand = state->demand,
                       done = std::move(done)](Money charged, std::exception_ptr failure) {
    {
      const std::lock_guard guard(mutex_);
      quotas_.charged(key_id, demand);
      under_way_.erase(id);
    }
    if (done) done({charged, settings_.prices.currency()}, failure);
  };
  if (ledger_) {
    ledger_->close(std::move(state->request), state_of(outcome), usage, charge, closed);
  } else {
    closed(charge, nullptr);
  }
}

Admission::Admission(std::unique_ptr<State> state) : state_(std::move(state)) {}
Admission::Admission(Admission&& other) noexcept = default;

Admission& Admission::operator=(Admission&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

Admission::~Admission() {
  if (!state_) return;
  Accounts::Impl& accounts = *state_->accounts;
  accounts.settle(std::move(state_), {}, Outcome::failed, nullptr);
}

const std::string& Admission::request_id() const { return state_->request.id; }
const std::string& Admission::key_id() const { return state_->request.key_id; }
const RateLimits& Admission::rate_limits() const { return state_->rate_limits; }

Accounts::Accounts(AccountsSettings settings, Clock clock)
    : impl_(std::make_unique<Impl>(std::move(settings), std::move(clock))) {}
Accounts::~Accounts() = default;

bool Accounts::keys_required() const { return impl_->settings().require_keys; }
const PriceTable& Accounts::prices() const { return impl_->settings().prices; }
bool Accounts::ready() const { return impl_->ready(); }

std::variant<Key, Refusal> Accounts::authenticate(std::string_view token) const {
  return impl_->authenticate(token);
}

std::variant<Admission, Refusal> Accounts::admit(const Key& key, const AdmissionRequest& request) {
  return impl_->admit(key, request);
}

void Accounts::settle(Admission admission, const Usage& usage, Outcome outcome, Settled done) {
  R1_CHECK(admission.state_ != nullptr, "an admission is settled once");
  impl_->settle(std::move(admission.state_), usage, outcome, std::move(done));
}

std::future<Charge> Accounts::settle(Admission admission, const Usage& usage, Outcome outcome) {
  const auto promise = std::make_shared<std::promise<Charge>>();
  std::future<Charge> charge = promise->get_future();
  settle(std::move(admission), usage, outcome,
         [promise](const Charge& settled, std::exception_ptr failure) {
           if (failure) {
             promise->set_exception(failure);
           } else {
             promise->set_value(settled);
           }
         });
  return charge;
}

std::optional<Accounts::Balance> Accounts::balance(const Key& key) const {
  const std::optional<KeyBalance> amount = impl_->balance(key);
  if (!amount) return std::nullopt;
  return Balance{prices().currency(), *amount, amount->total() > Money()};
}

}  // namespace r1::serve
