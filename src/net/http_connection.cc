#include "net/http_connection.h"

#include <utility>

namespace paceline::net {

Task<void> HttpConnection::read_loop(std::shared_ptr<HttpConnection> self) {
  while (self->open_) {
    auto count = co_await self->socket_->read_some(self->parser_.space());
    if (count) {
      if (!self->take(*count)) break;
      continue;
    }
    // The end may be that of an answer without a length.
    const bool whole =
        self->asked_ && count.error().code == Code::closed && self->open_ && self->parser_.end();
    if (whole) {
      self->answer_ = self->parser_.take();
    } else {
      self->fail_with(std::move(count).error());
    }
    break;
  }
  self->asked_ = false;
  self->close();
}

bool HttpConnection::take(size_t count) {
  if (!asked_) return false;  // it talks out of turn: nothing it says can be matched to a question
  auto whole = parser_.filled(count);
  if (!whole) {
    fail_with(std::move(whole).error());
    return false;
  }
  if (!*whole) return true;
  // An answer to half a question: the rest of the question need not be sent.
  const bool reusable = parser_.keep_alive() && !writing_;
  answer_ = parser_.take();
  asked_ = false;
  changed_.notify_all();
  return reusable;
}

void HttpConnection::fail_with(Error error) {
  if (asked_ && !answer_) answer_ = fail(std::move(error));
}

void HttpConnection::close() {
  if (open_) socket_->close();
  open_ = false;
  changed_.notify_all();
}

Task<HttpConnection::Exchanged> HttpConnection::exchange(std::vector<Slice> question, bool head,
                                                         uint64_t answer_bytes_max) {
  const auto self = shared_from_this();
  // Whatever of the answer is still to come when the frame goes belongs to nobody.
  struct Guard {
    HttpConnection* connection;
    bool finished = false;
    ~Guard() {
      if (!finished) connection->close();
    }
  } guard{this};
  answer_.reset();
  parser_.expect(head, answer_bytes_max);
  asked_ = true;
  writing_ = true;
  auto written = co_await socket_->write(question);
  writing_ = false;
  // Also after a failed write: the server may have said why before it hung up.
  while (!answer_ && open_) co_await changed_.wait();
  Exchanged exchanged{fail(Code::closed, "the connection was closed here"), parser_.begun()};
  if (answer_) {
    exchanged.answer = std::move(*answer_);
  } else if (!written) {
    exchanged.answer = fail(std::move(written).error());
  }
  answer_.reset();
  guard.finished = true;
  if (!exchanged.answer) close();
  co_return exchanged;
}

}  // namespace paceline::net
