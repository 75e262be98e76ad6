#include "client/sasl.h"

#include <fmt/format.h>

#include "client/scram.h"
#include "protocol/gen/sasl_authenticate.h"
#include "protocol/gen/sasl_handshake.h"

namespace paceline::client {
namespace {

Task<Result<std::string>> say(Client& client, std::string token) {
  protocol::SaslAuthenticateRequest request;
  request.auth_bytes = as_bytes(token);
  CO_TRY(auto answer, co_await client.call<protocol::SaslAuthenticateResponse>(0, request));
  if (answer.error_code != 0)
    co_return fail(Code::permission_denied,
                   fmt::format("the broker refuses the user: {}",
                               answer.error_message.value_or("it does not say why")));
  co_return std::move(answer.auth_bytes);
}

Task<Result<void>> choose(Client& client, const std::string& mechanism) {
  protocol::SaslHandshakeRequest request;
  request.mechanism = mechanism;
  CO_TRY(auto answer, co_await client.call<protocol::SaslHandshakeResponse>(1, request));
  if (answer.error_code == 0) co_return Result<void>{};
  co_return fail(Code::permission_denied,
                 fmt::format("the broker does not take {}, but {}", mechanism,
                             fmt::join(answer.mechanisms, ", ")));
}

Task<Result<void>> prove(Client& client, Scram scram) {
  CO_TRY(const std::string first, co_await say(client, scram.first()));
  CO_TRY(std::string answer, scram.answer(first));
  CO_TRY(const std::string last, co_await say(client, std::move(answer)));
  co_return scram.check(last);
}

}  // namespace

Task<Result<void>> authenticate(env::Shard& shard, Client& client, const Security& security) {
  CO_TRY_VOID(co_await choose(client, security.mechanism));
  if (security.mechanism == "PLAIN") {
    const std::string zero(1, '\0');
    auto said = co_await say(client, zero + security.username + zero + security.password);
    co_return said ? Result<void>{} : fail(said.error());
  }
  const auto hash =
      security.mechanism == "SCRAM-SHA-256" ? Scram::Hash::sha256 : Scram::Hash::sha512;
  std::string nonce = fmt::format("{:016x}{:016x}", shard.random(), shard.random());
  co_return co_await prove(client,
                           Scram(hash, security.username, security.password, std::move(nonce)));
}

}  // namespace paceline::client
