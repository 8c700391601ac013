// A C++17 class around the C API: handles owned by unique_ptr, errors as exceptions, an answer as
// a call with a callback. Two threads ask the same model, each with a session of its own.
#define SPRAT_EXPERIMENTAL
#include <sprat/experimental.h>

#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

namespace
{

template <typename T> T prepared()
{
    T x;
    sprat_init(&x, sizeof x);
    return x;
}

// Throws what the library said; its own text if there is none.
void check(sprat_status status, const char *message)
{
    if (status != SPRAT_OK)
        throw std::runtime_error(message && *message ? message : sprat_status_text(status));
}

class Model
{
public:
    explicit Model(const std::string &path)
    {
        auto error = prepared<sprat_error>();
        auto source = prepared<sprat_source>();
        sprat_context *context = nullptr;
        sprat_model *model = nullptr;
        source.path = path.c_str();
        check(sprat_context_create(&context, nullptr, &error), error.message);
        context_.reset(context);
        check(sprat_model_open(&model, context, &source, nullptr, &error), error.message);
        model_.reset(model);
    }

    // Calls piece with every part of the answer, as it comes. Any thread; each call has a session
    // of its own.
    void ask(std::string_view question, uint32_t max_tokens,
             const std::function<void(std::string_view)> &piece) const
    {
        auto error = prepared<sprat_error>();
        sprat_session *raw = nullptr;
        check(sprat_session_create(&raw, model_.get(), nullptr, &error), error.message);
        const std::unique_ptr<sprat_session, decltype(&sprat_session_destroy)> session(
            raw, sprat_session_destroy);

        auto sampling = prepared<sprat_sampling>();
        sampling.max_tokens = max_tokens;
        check(sprat_session_set_sampling(raw, &sampling), sprat_session_error(raw));

        auto message = prepared<sprat_message>();
        message.role = "user";
        message.content = question.data();
        message.content_len = question.size();
        const sprat_message *const messages[] = {&message};
        auto chat = prepared<sprat_chat>();
        chat.messages = messages;
        chat.n_messages = 1;
        check(sprat_session_chat(nullptr, raw, &chat), sprat_session_error(raw));

        auto event = prepared<sprat_event>();
        while (event.type != SPRAT_EVENT_DONE) {
            check(sprat_session_next(raw, &event), sprat_session_error(raw));
            if (event.type == SPRAT_EVENT_TEXT)
                piece({event.text, event.text_len});
        }
    }

private:
    // Declared in this order: the model goes first.
    std::unique_ptr<sprat_context, decltype(&sprat_context_destroy)> context_{
        nullptr, sprat_context_destroy};
    std::unique_ptr<sprat_model, decltype(&sprat_model_close)> model_{nullptr, sprat_model_close};
};

std::string whole_answer(const Model &model, std::string_view question)
{
    std::string text;
    model.ask(question, 24, [&text](std::string_view piece) { text += piece; });
    return text;
}

} // namespace

int main(int argc, char **argv)
try {
    if (argc != 3)
        throw std::invalid_argument("usage: embed MODEL QUESTION");
    const Model model(argv[1]);
    std::string answers[2];
    std::exception_ptr failure;
    std::thread other([&] {
        try {
            answers[1] = whole_answer(model, argv[2]);
        } catch (...) {
            failure = std::current_exception();
        }
    });
    try {
        answers[0] = whole_answer(model, argv[2]);
    } catch (...) {
        other.join();
        throw;
    }
    other.join();
    if (failure)
        std::rethrow_exception(failure);
    std::cout << answers[0] << "\n";
    if (answers[0] != answers[1])
        throw std::logic_error("two sessions gave two answers to one question");
    return 0;
} catch (const std::exception &e) {
    std::cerr << "embed: " << e.what() << "\n";
    return 1;
}
