/* sprat, the program: finds the subcommand and hands over. Everything here and beside it uses the
 * library's public headers only; what bench needs beyond them lies in examples/bench. Exit status
 * 0, or 1 with one line on stderr; doc/program.md. */
#include "program.h"
#include "term.h"

#include <string.h>

struct command {
    const char *name, *about;
    int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
    {"run", "answer one question", run_main},
    {"chat", "talk in a terminal", chat_main},
    {"info", "what a model file is, and the memory it needs", info_main},
    {"plan", "memory and speed to expect of a model, there or not", plan_main},
    {"tokenize", "text from stdin to token ids", tokenize_main},
    {"detokenize", "token ids from stdin to bytes", detokenize_main},
    {"eval", "logits, greedy tokens or likelihood of given tokens", eval_main},
    {"bench", "how fast a model is, and what share of the machine's limits that is", bench_main},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int main_help(void)
{
    static const char head[] = "usage: sprat COMMAND MODEL [ARGUMENT...] [OPTION...]\n";
    static const char foot[] = "sprat COMMAND --help tells more. MODEL is a GGUF file.\n";
    int bad = out_write(head, sizeof head - 1);
    for (size_t i = 0; i < N_COMMANDS && !bad; i++) {
        char line[128];
        int len = snprintf(line, sizeof line, "  %-11s %s\n", commands[i].name, commands[i].about);
        bad = out_write(line, (size_t)len);
    }
    return bad || out_write(foot, sizeof foot - 1) || out_end();
}

static int main_version(void)
{
    const char *version = sprat_version_text();
    return out_write("sprat ", 6) || out_write(version, strlen(version)) || out_write("\n", 1) ||
           out_end();
}

int main(int argc, char **argv)
{
    term_start();
    if (argc < 2)
        return fail("a subcommand is missing; sprat --help lists them");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return main_help();
    if (strcmp(argv[1], "--version") == 0)
        return main_version();
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].main(argc - 2, argv + 2);
    return fail("unknown subcommand \"%s\"; sprat --help lists them", argv[1]);
}
