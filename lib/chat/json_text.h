/* Looking into JSON text, and writing it anew, without building values: pieces of the text itself
 * are handed round. Text is checked once, by sprat__json_whole; the others ask for checked text. */
#ifndef SPRAT__JSON_TEXT_H
#define SPRAT__JSON_TEXT_H

#include "chat/dialect.h"

/* Whether text is one JSON value with white space of JSON round it; value: it alone. */
bool sprat__json_whole(struct sprat__span text, struct sprat__span *value);

/* Takes the next item from the front of *rest, which begins as a whole array; false after the last.
 * *rest is for this call alone. */
bool sprat__json_item(struct sprat__span *rest, struct sprat__span *item);

/* The value of an object's key (of several such keys, the last); false if object is none or lacks
 * it. */
bool sprat__json_member(struct sprat__span object, const char *key, struct sprat__span *value);

/* A string's text without its quotes; to be taken character by character. */
struct sprat__span sprat__json_inside(struct sprat__span string);
/* Takes one character from the front of a string's inside; out: its UTF-8, or a byte as it stands;
 * U+FFFD for half a surrogate pair. Its length, 0 at the end. */
size_t sprat__json_character(struct sprat__span *inside, char out[4]);

/* ---- writing into a prompt, all as the caller's text ---- */

/* As Python's json.dumps(ensure_ascii=False) writes the value: ", " and ": ", strings escaped no
 * more than needed, floats in Python's form; indented: by four spaces a level. Keys stay in order,
 * repeated ones too; floats keep their digits, where Python may find that fewer will do. */
void sprat__write_json(struct sprat__writer *writer, struct sprat__span value, bool indented);
/* Any text as a JSON string, quotes included. */
void sprat__write_json_string(struct sprat__writer *writer, struct sprat__span text);
/* A JSON string's text. */
void sprat__write_json_decoded(struct sprat__writer *writer, struct sprat__span string);

#endif
