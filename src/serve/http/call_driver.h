#pragma once

#include "serve/http/reply_writer.h"
#include "serve/http/server_state.h"
#include "serve/metrics/request_record.h"

namespace r1::serve {

// Carries out a call of one connection: prepares and submits its requests, sends what its writer
// makes of what comes, settles the account. Throws ApiError as long as nothing was sent.
asio::awaitable<void> drive_call(Call call, const HttpRequest& request, const Key& key,
                                 Transport& transport, ReplyWriter& reply, ServerState& server,
                                 RequestRecord& record);

// Loads a model, then sends the reply.
asio::awaitable<void> drive_load(LoadCall call, ReplyWriter& reply, ServerState& server);

}  // namespace r1::serve
