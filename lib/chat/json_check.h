/* A check of JSON text that arrives in pieces: is it one JSON value, and where in it are the values
 * that make a call? Holds a fixed number of bytes, whatever the text. RFC 8259; nesting to
 * SPRAT__JSON_DEPTH. */
#ifndef SPRAT__JSON_CHECK_H
#define SPRAT__JSON_CHECK_H

#include <stdbool.h>
#include <stdint.h>

enum { SPRAT__JSON_DEPTH = 1024 };

enum sprat__json_verdict { SPRAT__JSON_MORE, SPRAT__JSON_WHOLE, SPRAT__JSON_BAD };

struct sprat__json_check {
    uint64_t is_object[SPRAT__JSON_DEPTH / 64]; /* one bit a level that is open */
    uint32_t depth;
    uint32_t unit;        /* the \u escape being read */
    uint8_t state;        /* enum json_state of json_check.c */
    uint8_t n_hex;        /* digits of unit read */
    uint8_t word, n_word; /* the literal being read */
    bool in_key;
    /* Of the outermost object: the known keys that the key being read may still be, its length,
     * which it is. */
    uint8_t candidates, key_len, key;
    uint8_t member; /* enum sprat__json_key: of whose value the last byte taken was not the end */
};

/* The keys of a call, in the outermost object. */
enum sprat__json_key { SPRAT__JSON_NAME, SPRAT__JSON_ARGUMENTS, SPRAT__JSON_N_KEYS };

enum { SPRAT__JSON_NO_KEY = 255 };

void sprat__json_check_begin(struct sprat__json_check *check);
/* Takes one byte. WHOLE: the value is complete (a number is not before the byte after it); white
 * space of JSON may follow. After BAD, always BAD. */
enum sprat__json_verdict sprat__json_check_byte(struct sprat__json_check *check, char byte);

#endif
