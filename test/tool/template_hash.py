"""Print the row of lib/chat/template.c for chat templates: python3 template_hash.py FILE...

FILE holds a template's text, as tokenizer_config.json or a GGUF's tokenizer.chat_template has it. The
normal form, and so the hash, is that of template.c."""
import sys


def normal(data):
    return data.replace(b"\r\n", b"\n").rstrip(b" \t\n\r")


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


for name in sys.argv[1:]:
    text = normal(open(name, "rb").read())
    print("    {0x%016x, %d, \"\"}, /* %s */" % (fnv1a(text), len(text), name))
