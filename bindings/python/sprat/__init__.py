"""sprat for Python: DeepSeek's open models inside your own program, through ctypes and nothing else.

    import sprat
    model = sprat.Model('model.gguf')
    with sprat.Session(model) as session:
        for event in session.chat([{'role': 'user', 'content': 'Hello!'}], max_tokens=200):
            print(event, end='', flush=True)

Contexts and models may be used by any thread. A session may be too, one call at a time: it has a lock; cancel() needs
no turn. A forked child can use nothing that its parent made. Close an object only when no other thread is inside a
call on it. Every failure is a SpratError with the library's own line. The library is the file that SPRAT_LIBRARY
names, else the one beside this module, else the system's.
"""
import array
import ctypes
import ctypes.util
import json
import os
import sys
import threading
import types
import weakref
from ctypes import (CFUNCTYPE, POINTER, c_char, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t, c_uint32,
                    c_uint64, c_void_p)

__all__ = ['ChatParser', 'Context', 'Event', 'Model', 'Session', 'SpratError', 'answer_message', 'chat_render',
           'numerics_version', 'plan', 'version']

# ---- what sprat.h and experimental.h say ---------------------------------------------------------

STATUSES = {
    'OK': 0, 'INVALID': -1, 'UNSUPPORTED': -2, 'STATE': -3, 'NO_MEMORY': -4, 'OVER_BUDGET': -5, 'NO_THREAD': -6,
    'CANCELLED': -7, 'BUFFER_TOO_SMALL': -8, 'NOT_FOUND': -9, 'NO_FILE': -20, 'NOT_A_FILE': -21, 'IO': -22,
    'EMPTY_FILE': -23, 'TRUNCATED': -24, 'BAD_MAGIC': -25, 'BAD_VERSION': -26, 'BAD_FORMAT': -27, 'BAD_CONFIG': -28,
    'UNKNOWN_ARCH': -29, 'UNKNOWN_TYPE': -30, 'UNKNOWN_TOKENIZER': -31, 'UNKNOWN_TEMPLATE': -32,
    'MISSING_TENSOR': -33, 'BAD_SHAPE': -34, 'NO_WEIGHTS': -35, 'PROMPT_TOO_LONG': -50, 'CONTEXT_FULL': -51,
    'NUMERIC': -52, 'BAD_TEXT': -53,
}

_TEXT_KINDS = {'user': 0, 'template': 1}
_NUMERICS = {None: 0, 'int8': 1, 'f32': 2}
_KV_TYPES = {None: 0, 'f16': 1, 'f32': 2}
_THINKING = {None: 0, True: 1, False: 2}
_EVENTS = {1: 'text', 2: 'usage', 3: 'done', 16: 'reasoning', 17: 'warning', 18: 'call', 19: 'arguments',
           20: 'call_end'}
_REASONS = {1: 'end', 2: 'stop', 3: 'length', 4: 'context'}
_CALL_ENDS = {0: 'whole', 1: 'bad', 2: 'cut'}
_TOKEN_TYPES = {1: 'normal', 2: 'unknown', 3: 'control', 4: 'user_defined', 5: 'unused', 6: 'byte'}
_META_UINT, _META_INT, _META_FLOAT, _META_BOOL, _META_STRING, _META_ARRAY = 1, 2, 3, 4, 5, 6
_SOURCE_PATH, _SOURCE_FD, _SOURCE_MEMORY = 0, 1, 2
_TOKENIZE_BOS = 1
_DETOKENIZE_SPECIAL, _DETOKENIZE_START = 1, 2

_progress_fn = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)


class sprat_error(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('status', c_int32), ('reserved', c_uint32), ('message', c_char * 240)]


class sprat_context_options(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('allocator', c_void_p), ('log', c_void_p), ('log_user', c_void_p),
                ('memory_budget', c_uint64), ('cpu', c_char_p), ('n_threads', c_uint32), ('reserved', c_uint32)]


class sprat_context_info(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('memory_now', c_uint64), ('memory_peak', c_uint64), ('memory_budget', c_uint64),
                ('memory_by_purpose', c_uint64 * 8), ('cpu', c_char_p), ('n_threads', c_uint32),
                ('reserved', c_uint32)]


class sprat_source(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('kind', c_uint32), ('fd', c_int32), ('path', c_char_p), ('offset', c_uint64),
                ('length', c_uint64), ('data', c_void_p), ('read', c_void_p), ('read_user', c_void_p)]


class sprat_model_options(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('progress', _progress_fn), ('progress_user', c_void_p)]


class sprat_session_options(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('n_ctx', c_uint32), ('n_chunk', c_uint32), ('n_kept', c_uint32),
                ('numerics', c_uint32), ('kv_type', c_uint32), ('reserved', c_uint32)]


class sprat_plan(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('peak_bytes', c_uint64), ('mapped_bytes', c_uint64), ('model_bytes', c_uint64),
                ('session_bytes', c_uint64), ('kv_bytes', c_uint64), ('kv_bytes_per_token', c_uint64)]


class sprat_model_info(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('architecture', c_char_p), ('name', c_char_p), ('n_parameters', c_uint64),
                ('file_bytes', c_uint64), ('mapped_bytes', c_uint64), ('heap_bytes', c_uint64), ('n_layers', c_uint32),
                ('n_embd', c_uint32), ('n_vocab', c_uint32), ('n_ctx_train', c_uint32), ('n_meta', c_uint32),
                ('n_tensors', c_uint32), ('bos', c_int32), ('eos', c_int32), ('add_bos', c_uint32),
                ('has_weights', c_uint32), ('types', c_char_p)]


class sprat_meta(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('key', c_void_p), ('key_len', c_size_t), ('type', c_uint32),
                ('element_type', c_uint32), ('n_elements', c_uint64), ('u', c_uint64), ('i', c_int64), ('f', c_double),
                ('text', c_void_p), ('text_len', c_size_t)]


class sprat_segment(ctypes.Structure):
    _fields_ = [('text', c_void_p), ('len', c_size_t), ('kind', c_uint32), ('reserved', c_uint32)]


class sprat_token_info(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('text', c_void_p), ('text_len', c_size_t), ('type', c_uint32),
                ('is_end', c_uint32), ('score', c_float), ('reserved', c_uint32)]


class sprat_sampling(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('seed', c_uint64), ('temperature', c_float), ('top_p', c_float),
                ('min_p', c_float), ('repetition_penalty', c_float), ('presence_penalty', c_float),
                ('frequency_penalty', c_float), ('top_k', c_uint32), ('penalty_window', c_uint32),
                ('n_logprobs', c_uint32), ('max_tokens', c_uint32), ('ignore_end', c_uint32), ('n_bias', c_uint32),
                ('bias_tokens', POINTER(c_int32)), ('bias_values', POINTER(c_float)), ('stops', POINTER(c_char_p)),
                ('n_stops', c_uint32), ('reserved', c_uint32)]


class sprat_sample(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('token', c_int32), ('logprob', c_float), ('n_top', c_uint32),
                ('reserved', c_uint32), ('top_tokens', POINTER(c_int32)), ('top_logprobs', POINTER(c_float))]


class sprat_event(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('type', c_int32), ('reason', c_int32), ('text', c_void_p), ('text_len', c_size_t),
                ('n_prompt', c_uint64), ('n_reused', c_uint64), ('n_generated', c_uint64)]


class sprat_session_stats(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('n_tokens', c_uint64), ('n_ctx', c_uint64), ('n_reserved', c_uint64),
                ('n_prefill', c_uint64), ('n_decode', c_uint64), ('prefill_ns', c_uint64), ('decode_ns', c_uint64),
                ('heap_bytes', c_uint64), ('kv_bytes', c_uint64)]


class sprat_tool_call(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('name', c_char_p), ('name_len', c_size_t), ('arguments', c_char_p),
                ('arguments_len', c_size_t)]


class sprat_message(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('role', c_char_p), ('content', c_char_p), ('content_len', c_size_t),
                ('reasoning', c_char_p), ('reasoning_len', c_size_t), ('calls', POINTER(POINTER(sprat_tool_call))),
                ('n_calls', c_size_t), ('prefix', c_uint32), ('reserved', c_uint32)]


class sprat_chat(ctypes.Structure):
    _fields_ = [('size', c_size_t), ('dialect', c_char_p), ('messages', POINTER(POINTER(sprat_message))),
                ('n_messages', c_size_t), ('thinking', c_uint32), ('no_generation_prompt', c_uint32),
                ('continue_final', c_uint32), ('reserved', c_uint32), ('tools', c_char_p), ('tools_len', c_size_t)]


_segment_fn = CFUNCTYPE(c_int32, c_void_p, POINTER(sprat_segment))

_handle, _out, _error = c_void_p, POINTER(c_void_p), POINTER(sprat_error)
_tokens, _count = POINTER(c_int32), POINTER(c_size_t)
_status = c_int32

# Every function used: what it returns, what it takes.
_PROTOTYPES = {
    'sprat_version': (c_uint32, []),
    'sprat_version_text': (c_char_p, []),
    'sprat_numerics_version': (c_uint32, []),
    'sprat_status_name': (c_char_p, [c_int32]),
    'sprat_status_text': (c_char_p, [c_int32]),
    'sprat_context_create': (_status, [_out, POINTER(sprat_context_options), _error]),
    'sprat_context_destroy': (None, [_handle]),
    'sprat_context_get_info': (_status, [_handle, POINTER(sprat_context_info)]),
    'sprat_context_set_threads': (_status, [_handle, c_uint32]),
    'sprat_model_plan': (_status, [POINTER(sprat_plan), _handle, POINTER(sprat_source), POINTER(sprat_model_options),
                                   POINTER(sprat_session_options), _error]),
    'sprat_model_open': (_status, [_out, _handle, POINTER(sprat_source), POINTER(sprat_model_options), _error]),
    'sprat_model_close': (None, [_handle]),
    'sprat_model_get_info': (_status, [_handle, POINTER(sprat_model_info)]),
    'sprat_model_meta': (_status, [_handle, c_char_p, POINTER(sprat_meta)]),
    'sprat_model_meta_at': (_status, [_handle, c_uint32, POINTER(sprat_meta)]),
    'sprat_model_meta_item': (_status, [_handle, c_char_p, c_uint64, POINTER(sprat_meta)]),
    'sprat_model_tokenize': (_status, [_count, _handle, POINTER(sprat_segment), c_size_t, c_uint32, _tokens, c_size_t,
                                       _error]),
    'sprat_model_detokenize': (_status, [_count, _count, _handle, _tokens, c_size_t, c_uint32, c_char_p, c_size_t]),
    'sprat_model_token_info': (_status, [_handle, c_int32, POINTER(sprat_token_info)]),
    'sprat_model_find_token': (_status, [POINTER(c_int32), _handle, c_char_p, c_size_t]),
    'sprat_session_create': (_status, [_out, _handle, POINTER(sprat_session_options), _error]),
    'sprat_session_destroy': (None, [_handle]),
    'sprat_session_error': (c_char_p, [_handle]),
    'sprat_session_reserve': (_status, [_handle, c_size_t]),
    'sprat_session_sync': (_status, [_count, _handle, _tokens, c_size_t]),
    'sprat_session_append': (_status, [_handle, _tokens, c_size_t]),
    'sprat_session_tokens': (_status, [_count, _handle, _tokens, c_size_t]),
    'sprat_session_logits': (_status, [_handle, POINTER(c_size_t), c_size_t, POINTER(c_float), c_size_t]),
    'sprat_session_set_sampling': (_status, [_handle, POINTER(sprat_sampling)]),
    'sprat_session_sample': (_status, [_handle, POINTER(sprat_sample)]),
    'sprat_session_accept': (_status, [_handle, c_int32]),
    'sprat_session_fork': (_status, [_out, _handle, _error]),
    'sprat_session_rewind': (_status, [_handle, c_size_t]),
    'sprat_session_next': (_status, [_handle, POINTER(sprat_event)]),
    'sprat_session_cancel': (None, [_handle, c_int32]),
    'sprat_session_get_stats': (_status, [_handle, POINTER(sprat_session_stats)]),
    'sprat_session_context_left': (c_size_t, [_handle]),
    'sprat_chat_dialect': (_status, [POINTER(c_char_p), _handle, _error]),
    'sprat_chat_render': (_status, [_handle, _handle, POINTER(sprat_chat), _segment_fn, c_void_p, _error]),
    'sprat_chat_tokenize': (_status, [_count, _handle, POINTER(sprat_chat), _tokens, c_size_t, _error]),
    'sprat_session_chat': (_status, [_count, _handle, POINTER(sprat_chat)]),
    'sprat_chat_parser_create': (_status, [_out, _handle, c_char_p, c_uint32, _error]),
    'sprat_chat_parser_destroy': (None, [_handle]),
    'sprat_chat_parser_feed': (_status, [_handle, c_char_p, c_size_t, c_uint32]),
    'sprat_chat_parser_next': (_status, [_handle, POINTER(sprat_event)]),
}


def _open_library():
    named = os.environ.get('SPRAT_LIBRARY')
    if named:
        return ctypes.CDLL(named)
    names = {'win32': ['sprat.dll', 'libsprat.dll'], 'darwin': ['libsprat.dylib']}.get(sys.platform, ['libsprat.so'])
    for name in names:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
        if os.path.exists(path):
            return ctypes.CDLL(path)
    found = ctypes.util.find_library('sprat')
    if not found:
        raise ImportError('libsprat was not found: install it, or name the file in SPRAT_LIBRARY')
    return ctypes.CDLL(found)


def _load():
    lib = _open_library()
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(lib, name, None)
        if function is None:
            raise ImportError(f'{lib._name} has no {name}: this module needs another release of libsprat')
        function.restype, function.argtypes = result, arguments
    if lib.sprat_version() // 1000000 != 0:
        raise ImportError(f'{lib._name} is libsprat {lib.sprat_version_text().decode()}; this module needs 0.x')
    return lib


_lib = _load()


# ---- helpers -------------------------------------------------------------------------------------

class SpratError(Exception):
    """A call failed. status: the number; name: its name ("NO_FILE"); str(): what, where, expected, found."""

    def __init__(self, status, message=''):
        self.status = status
        self.name = _lib.sprat_status_name(status).decode()
        super().__init__(message or _lib.sprat_status_text(status).decode())


def _check(status, error=None, session=None):
    """The one place where a status becomes an exception."""
    if status == 0:
        return
    message = error.message if error is not None else b''
    if session is not None:
        message = _lib.sprat_session_error(session)
    raise SpratError(status, message.decode('utf-8', 'replace'))


def _new(struct, /, **fields):
    return struct(size=ctypes.sizeof(struct), **fields)


def _encode(text):
    return text.encode('utf-8', 'surrogateescape') if isinstance(text, str) else bytes(text)


def _decode(data):
    """Text from a file or a caller: any byte survives the way back through _encode."""
    return data.decode('utf-8', 'surrogateescape')


def _bytes_at(address, length):
    return ctypes.string_at(address, length) if length else b''


def _choice(table, value, name):
    if value not in table:
        raise ValueError(f'{name}: {value!r} is not one of {list(table)}')
    return table[value]


def _token_array(tokens):
    tokens = list(tokens)
    for token in tokens:
        if not -0x80000000 <= token <= 0x7fffffff:
            raise ValueError(f'{token} is no token id')
    return (c_int32 * len(tokens))(*tokens), len(tokens)


def _plain(struct, *without):
    """A struct's fields as an object with attributes; char pointers as str."""
    values = {}
    for name, _ in struct._fields_:
        if name in ('size', 'reserved', *without):
            continue
        value = getattr(struct, name)
        if isinstance(value, bytes):
            value = _decode(value)
        elif isinstance(value, ctypes.Array):
            value = list(value)
        values[name] = value
    return types.SimpleNamespace(**values)


def _twice(call, kind, error=None):
    """For calls that tell the size they need: call(n_pointer, buffer, capacity) -> status, first to count."""
    n = c_size_t()
    status = call(ctypes.byref(n), None, 0)
    if status != STATUSES['BUFFER_TOO_SMALL']:
        _check(status, error)
    buffer = (kind * n.value)()
    if n.value:
        _check(call(ctypes.byref(n), buffer, n.value), error)
    return buffer


def version():
    """The version of the library, as text."""
    return _lib.sprat_version_text().decode()


def numerics_version():
    """Equal numbers mean equal bits."""
    return _lib.sprat_numerics_version()


def _give_back(destroy, handle, process):
    if os.getpid() == process:  # a forked child has no part in its parent's handles
        destroy(handle)


class _Owner:
    """A handle that is given back once: by close(), at the end of a with block, or when the object goes."""

    def _own(self, handle, destroy):
        self._given, self._process = handle, os.getpid()
        self._end = weakref.finalize(self, _give_back, destroy, handle, self._process)

    @property
    def _handle(self):
        if not self._end.alive:
            raise ValueError(f'the {type(self).__name__} is closed')
        if os.getpid() != self._process:
            raise ValueError(f'the {type(self).__name__} was made before a fork, in the parent process')
        return self._given

    def close(self):
        self._end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- context -------------------------------------------------------------------------------------

class Context(_Owner):
    """The choices of the machine: threads, instruction set, memory budget in bytes. Zero and None: the default."""

    def __init__(self, n_threads=0, cpu=None, memory_budget=0):
        options = _new(sprat_context_options, n_threads=n_threads, memory_budget=memory_budget,
                       cpu=_encode(cpu) if cpu is not None else None)
        handle, error = c_void_p(), _new(sprat_error)
        _check(_lib.sprat_context_create(ctypes.byref(handle), ctypes.byref(options), ctypes.byref(error)), error)
        self._own(handle, _lib.sprat_context_destroy)

    @property
    def info(self):
        """memory_now, memory_peak, memory_budget, memory_by_purpose, cpu, n_threads."""
        info = _new(sprat_context_info)
        _check(_lib.sprat_context_get_info(self._handle, ctypes.byref(info)))
        return _plain(info)

    def set_threads(self, n_threads):
        _check(_lib.sprat_context_set_threads(self._handle, n_threads))


_spare, _spare_lock = {}, threading.Lock()


def _spare_context():
    """For calls that need memory alone: one context a process, made when it is first needed."""
    with _spare_lock:
        if os.getpid() not in _spare:
            _spare[os.getpid()] = Context(n_threads=1)
        return _spare[os.getpid()]


def _source(source, offset, length):
    """The struct, and what must live as long as the model."""
    if isinstance(source, (str, os.PathLike)):
        if offset or length:
            raise ValueError('offset and length go with a file descriptor')
        return _new(sprat_source, kind=_SOURCE_PATH, path=os.fsencode(source)), None
    if isinstance(source, int):
        return _new(sprat_source, kind=_SOURCE_FD, fd=source, offset=offset, length=length), None
    if isinstance(source, bytes):
        address = ctypes.cast(ctypes.c_char_p(source), c_void_p)
        return _new(sprat_source, kind=_SOURCE_MEMORY, data=address, length=len(source)), source
    view = memoryview(source)
    if view.readonly or not view.contiguous:
        raise TypeError('a model in memory is bytes or a writable, contiguous buffer')
    data = (c_char * view.nbytes).from_buffer(view)
    return _new(sprat_source, kind=_SOURCE_MEMORY, data=ctypes.addressof(data), length=view.nbytes), data


def _session_options(n_ctx=0, n_chunk=0, n_kept=0, numerics=None, kv=None):
    return _new(sprat_session_options, n_ctx=n_ctx, n_chunk=n_chunk, n_kept=n_kept,
                numerics=_choice(_NUMERICS, numerics, 'numerics'), kv_type=_choice(_KV_TYPES, kv, 'kv'))


def plan(source, context=None, offset=0, length=0, **session):
    """The memory that opening source (as Model takes it) and filling one session would need; **session: as Session's
    options. Gives peak_bytes, mapped_bytes, model_bytes, session_bytes, kv_bytes, kv_bytes_per_token."""
    context = context or _spare_context()
    struct, _kept = _source(source, offset, length)
    options, out, error = _session_options(**session), _new(sprat_plan), _new(sprat_error)
    _check(_lib.sprat_model_plan(ctypes.byref(out), context._handle, ctypes.byref(struct), None,
                                 ctypes.byref(options), ctypes.byref(error)), error)
    return _plain(out)


# ---- model ---------------------------------------------------------------------------------------

class Model(_Owner):
    """Weights and tokeniser. source: a path; bytes or a writable buffer with the file in it; or a file descriptor,
    then with offset and length (0: up to the end). progress(done, total): called now and then; a true result cancels
    the opening."""

    def __init__(self, source, context=None, offset=0, length=0, progress=None):
        self.context = context or Context()
        struct, self._data = _source(source, offset, length)
        raised = []

        def tell(_user, done, total):
            try:
                return 1 if progress(done, total) else 0
            except BaseException as error:  # it must not run through C; it is raised again below
                raised.append(error)
                return 1

        callback = _progress_fn(tell) if progress else _progress_fn()
        options = _new(sprat_model_options, progress=callback)
        handle, error = c_void_p(), _new(sprat_error)
        status = _lib.sprat_model_open(ctypes.byref(handle), self.context._handle, ctypes.byref(struct),
                                       ctypes.byref(options), ctypes.byref(error))
        if raised:
            _lib.sprat_model_close(handle)
            raise raised[0]
        _check(status, error)
        self._own(handle, _lib.sprat_model_close)
        self.n_vocab = self.info.n_vocab

    @property
    def info(self):
        """architecture, name, n_parameters, n_layers, n_vocab, n_ctx_train, bos, eos, … as in sprat_model_info."""
        info = _new(sprat_model_info)
        _check(_lib.sprat_model_get_info(self._handle, ctypes.byref(info)))
        return _plain(info)

    def _value(self, meta, key):
        if meta.type == _META_UINT:
            return meta.u
        if meta.type == _META_INT:
            return meta.i
        if meta.type == _META_FLOAT:
            return meta.f
        if meta.type == _META_BOOL:
            return bool(meta.u)
        if meta.type == _META_STRING:
            return _decode(_bytes_at(meta.text, meta.text_len))
        items, item = [], _new(sprat_meta)
        for n in range(meta.n_elements):
            _check(_lib.sprat_model_meta_item(self._handle, key, n, ctypes.byref(item)))
            items.append(self._value(item, key))
        return items

    def meta(self, key, default=None):
        """A metadata value of the file: int, float, bool, str, or a list of them."""
        meta, name = _new(sprat_meta), _encode(key)
        status = _lib.sprat_model_meta(self._handle, name, ctypes.byref(meta))
        if status == STATUSES['NOT_FOUND']:
            return default
        _check(status)
        return self._value(meta, name)

    def meta_keys(self):
        keys, meta = [], _new(sprat_meta)
        for n in range(self.info.n_meta):
            _check(_lib.sprat_model_meta_at(self._handle, n, ctypes.byref(meta)))
            keys.append(_decode(_bytes_at(meta.key, meta.key_len)))
        return keys

    def tokenize(self, text, special=False, bos=False):
        """Token ids. text: str or bytes, or a list of (kind, text) with kind "user" or "template". special: control
        tokens in a plain text are recognised. bos: put BOS first if the model asks for one."""
        if isinstance(text, (list, tuple)):
            pieces = [(_choice(_TEXT_KINDS, kind, 'kind'), _encode(piece)) for kind, piece in text]
        else:
            pieces = [(_TEXT_KINDS['template' if special else 'user'], _encode(text))]
        segments = (sprat_segment * len(pieces))()
        for segment, (kind, data) in zip(segments, pieces):
            segment.text = ctypes.cast(ctypes.c_char_p(data), c_void_p)
            segment.len, segment.kind = len(data), kind
        error, flags = _new(sprat_error), _TOKENIZE_BOS if bos else 0
        return list(_twice(lambda n, buffer, room: _lib.sprat_model_tokenize(
            n, self._handle, segments, len(pieces), flags, buffer, room, ctypes.byref(error)), c_int32, error))

    def detokenize(self, tokens, special=False, start=False):
        """The bytes of token ids. special: control tokens give their text. start: the first token begins a text."""
        ids, n_ids = _token_array(tokens)
        flags = (_DETOKENIZE_SPECIAL if special else 0) | (_DETOKENIZE_START if start else 0)
        return bytes(_twice(lambda n, buffer, room: _lib.sprat_model_detokenize(
            n, None, self._handle, ids, n_ids, flags, ctypes.cast(buffer, c_char_p) if room else None, room),
            ctypes.c_ubyte))

    def token_info(self, token):
        """text (bytes), type ("normal", "control", …), is_end, score."""
        info = _new(sprat_token_info)
        _check(_lib.sprat_model_token_info(self._handle, token, ctypes.byref(info)))
        return types.SimpleNamespace(text=_bytes_at(info.text, info.text_len), is_end=bool(info.is_end),
                                     type=_TOKEN_TYPES.get(info.type, str(info.type)), score=info.score)

    def find_token(self, text):
        """The id of the token that is exactly that text, or None."""
        token, data = c_int32(), _encode(text)
        status = _lib.sprat_model_find_token(ctypes.byref(token), self._handle, data, len(data))
        if status == STATUSES['NOT_FOUND']:
            return None
        _check(status)
        return token.value

    @property
    def dialect(self):
        """The name of the chat template's dialect; SpratError UNKNOWN_TEMPLATE if it is not known."""
        name, error = c_char_p(), _new(sprat_error)
        _check(_lib.sprat_chat_dialect(ctypes.byref(name), self._handle, ctypes.byref(error)), error)
        return name.value.decode()

    def chat_tokens(self, messages, **options):
        """The conversation's token ids: count before running. Options: as chat_render's."""
        chat, error = _Chat(messages, **options), _new(sprat_error)
        return list(_twice(lambda n, buffer, room: _lib.sprat_chat_tokenize(
            n, self._handle, chat.pointer, buffer, room, ctypes.byref(error)), c_int32, error))


# ---- session -------------------------------------------------------------------------------------

class Event:
    """A piece of an answer. type: "text", "reasoning", "call" (a tool's name), "arguments" (a piece of the open call's
    JSON), "call_end", "warning", "usage" or "done"; data: the piece's bytes; text: the same as str; reason, of "done":
    "end", "stop", "length" or "context", of "call_end": "whole" (the call counts), "bad" or "cut"; n_prompt, n_reused,
    n_generated, of "usage". str(event) is the text of a "text" and empty for all others."""
    __slots__ = ('type', 'data', 'reason', 'n_prompt', 'n_reused', 'n_generated')

    def __init__(self, struct):
        self.type = _EVENTS.get(struct.type, f'event {struct.type}')
        self.data = _bytes_at(struct.text, struct.text_len)
        self.reason = (_CALL_ENDS if self.type == 'call_end' else _REASONS).get(struct.reason)
        self.n_prompt, self.n_reused, self.n_generated = struct.n_prompt, struct.n_reused, struct.n_generated

    @property
    def text(self):
        return self.data.decode('utf-8', 'replace')

    def __str__(self):
        return self.text if self.type == 'text' else ''

    def __repr__(self):
        what = {'usage': f' {self.n_prompt} {self.n_reused} {self.n_generated}', 'done': f' {self.reason}',
                'call_end': f' {self.reason}'}
        return f'<Event {self.type}{what.get(self.type, " " + repr(self.text))}>'


def _sampling(bias=None, stops=(), **numbers):
    """The struct; it keeps what it points to. numbers: the fields of sprat_sampling."""
    known = {name for name, kind in sprat_sampling._fields_ if kind in (c_uint32, c_uint64, c_float)}
    unknown = set(numbers) - (known - {'n_bias', 'n_stops', 'reserved'})
    if unknown:
        raise TypeError(f'no such sampling option: {", ".join(sorted(unknown))}')
    if isinstance(stops, (str, bytes)):
        stops = [stops]
    bias, stops = dict(bias or {}), [_encode(stop) for stop in stops]
    if any(b'\0' in stop for stop in stops):
        raise ValueError('a stop text holds a NUL')
    sampling = _new(sprat_sampling, **numbers)
    sampling.n_bias, sampling.n_stops = len(bias), len(stops)
    if bias:
        sampling.bias_tokens = (c_int32 * len(bias))(*bias.keys())
        sampling.bias_values = (c_float * len(bias))(*bias.values())
    if stops:
        sampling.stops = (c_char_p * len(stops))(*stops)
    return sampling


class Session(_Owner):
    """One growing sequence of tokens. numerics: None, "int8" or "f32"; kv: None, "f16" or "f32"."""

    def __init__(self, model, n_ctx=0, n_chunk=0, n_kept=0, numerics=None, kv=None):
        self.model = model
        self._lock, self._handle_lock = threading.RLock(), threading.Lock()
        options, handle, error = _session_options(n_ctx, n_chunk, n_kept, numerics, kv), c_void_p(), _new(sprat_error)
        _check(_lib.sprat_session_create(ctypes.byref(handle), model._handle, ctypes.byref(options),
                                         ctypes.byref(error)), error)
        self._own(handle, _lib.sprat_session_destroy)

    def fork(self):
        """A second session that goes on from the same tokens, without computing them again."""
        other = Session.__new__(Session)
        other.model = self.model
        other._lock, other._handle_lock = threading.RLock(), threading.Lock()
        handle, error = c_void_p(), _new(sprat_error)
        with self._lock:
            _check(_lib.sprat_session_fork(ctypes.byref(handle), self._handle, ctypes.byref(error)), error)
        other._own(handle, _lib.sprat_session_destroy)
        return other

    def close(self):
        with self._lock, self._handle_lock:
            super().close()

    def _call(self, name, *arguments):
        """A call of the session's turn; its failures carry the session's line."""
        with self._lock:
            handle = self._handle
            _check(getattr(_lib, name)(handle, *arguments), session=handle)

    def reserve(self, n_tokens):
        self._call('sprat_session_reserve', n_tokens)

    def sync(self, tokens):
        """Makes the session hold exactly these tokens; gives how many were there already."""
        ids, n = _token_array(tokens)
        reused = c_size_t()
        with self._lock:
            handle = self._handle
            _check(_lib.sprat_session_sync(ctypes.byref(reused), handle, ids, n), session=handle)
        return reused.value

    def append(self, tokens):
        ids, n = _token_array(tokens)
        self._call('sprat_session_append', ids, n)

    @property
    def tokens(self):
        with self._lock:
            return list(_twice(lambda n, buffer, room: _lib.sprat_session_tokens(n, self._handle, buffer, room),
                               c_int32))

    @property
    def n_tokens(self):
        return self.stats.n_tokens

    def logits(self, positions=-1):
        """The logits after a position, negative ones from the end: array('f') of n_vocab values. Of a list of
        positions: a memoryview with a row for each."""
        one = isinstance(positions, int)
        with self._lock:
            length = self.n_tokens
            wanted = [p + length if p < 0 else p for p in ([positions] if one else positions)]
            if any(not 0 <= p < length for p in wanted):
                raise IndexError(f'the session has {length} tokens; positions {wanted}')
            values = array.array('f', bytes(4 * len(wanted) * self.model.n_vocab))
            if wanted:
                pointer = (c_float * len(values)).from_buffer(values)
                self._call('sprat_session_logits', (c_size_t * len(wanted))(*wanted), len(wanted), pointer,
                           len(values))
                del pointer
        if one or not wanted:
            return values
        return memoryview(values).cast('B').cast('f', (len(wanted), self.model.n_vocab))

    def set_sampling(self, **sampling):
        """How tokens are chosen: the fields of sprat_sampling by name, bias={token: value}, stops=[text, …]. What is
        not named is off; without any: the most likely token."""
        self._call('sprat_session_set_sampling', ctypes.byref(_sampling(**sampling)))

    def sample(self):
        """The token that would come next: token, logprob, top [(token, logprob), …]. Adds nothing."""
        out = _new(sprat_sample)
        with self._lock:
            self._call('sprat_session_sample', ctypes.byref(out))
            top = [(out.top_tokens[n], out.top_logprobs[n]) for n in range(out.n_top)]
        return types.SimpleNamespace(token=out.token, logprob=out.logprob, top=top)

    def accept(self, token):
        self._call('sprat_session_accept', token)

    def rewind(self, n_tokens):
        self._call('sprat_session_rewind', n_tokens)

    def next(self):
        """The next Event of the answer."""
        event = _new(sprat_event)
        with self._lock:
            self._call('sprat_session_next', ctypes.byref(event))
            return Event(event)

    def _events(self):
        while True:
            event = self.next()
            yield event
            if event.type == 'done':
                return

    def generate(self, prompt=None, **sampling):
        """Goes on with a prompt (text, bytes, token ids; None: what the session holds): an iterator of str."""
        self.set_sampling(**sampling)
        if prompt is not None:
            text = isinstance(prompt, (str, bytes))
            self.sync(self.model.tokenize(prompt, bos=True) if text else prompt)
        return (str(event) for event in self._events() if event.type == 'text')

    def chat(self, messages, thinking=None, tools=None, **sampling):
        """Answers a conversation, always stated whole: an iterator of Events. messages and tools: as chat_render's;
        sampling: as set_sampling's. answer_message makes of the events what to append to messages."""
        self.set_sampling(**sampling)
        self._call_chat(_Chat(messages, thinking=thinking, tools=tools))
        return self._events()

    def _call_chat(self, chat):
        with self._lock:
            handle = self._handle
            _check(_lib.sprat_session_chat(None, handle, chat.pointer), session=handle)

    def cancel(self, on=True):
        """Sets or clears the cancel level, from any thread: while it is set, calls that compute fail with CANCELLED."""
        with self._handle_lock:
            if self._end.alive:
                _lib.sprat_session_cancel(self._given, 1 if on else 0)

    @property
    def stats(self):
        """n_tokens, n_ctx, n_reserved, n_prefill, n_decode, prefill_ns, decode_ns, heap_bytes, kv_bytes."""
        stats = _new(sprat_session_stats)
        self._call('sprat_session_get_stats', ctypes.byref(stats))
        return _plain(stats)

    @property
    def context_left(self):
        with self._lock:
            return _lib.sprat_session_context_left(self._handle)


# ---- chat ----------------------------------------------------------------------------------------

class _Chat:
    """A conversation in C structs; it keeps the texts alive."""

    def __init__(self, messages, dialect=None, thinking=None, generation_prompt=True, continue_final=False, tools=None):
        structs = [self._message(message) for message in messages]
        pointers = (POINTER(sprat_message) * len(structs))(*map(ctypes.pointer, structs))
        self._chat = _new(sprat_chat, dialect=_encode(dialect) if dialect is not None else None, messages=pointers,
                          n_messages=len(structs), thinking=_choice(_THINKING, thinking, 'thinking'),
                          no_generation_prompt=0 if generation_prompt else 1,
                          continue_final=1 if continue_final else 0)
        if tools:
            _set_text(self._chat, 'tools', tools if isinstance(tools, (str, bytes)) else _json(tools))
        self.pointer = ctypes.pointer(self._chat)

    @staticmethod
    def _message(message):
        if isinstance(message, (tuple, list)) and len(message) == 2:
            message = dict(zip(('role', 'content'), message))
        if not hasattr(message, 'items') or 'role' not in message:
            raise TypeError(f'a message is a dict with role and content, or a (role, content) pair, not {message!r:.80}')
        unknown = [key for key, value in message.items() if key not in _MESSAGE_KEYS and value]
        if unknown:
            raise TypeError(f'a message has {", ".join(_MESSAGE_KEYS)}, not {", ".join(unknown)}')
        struct = _new(sprat_message, role=_encode(message['role']), prefix=1 if message.get('prefix') else 0)
        _set_text(struct, 'content', message.get('content'))
        _set_text(struct, 'reasoning', message.get('reasoning', message.get('reasoning_content')))
        calls = [_call_struct(call) for call in message.get('tool_calls') or ()]
        if calls:
            struct.calls = (POINTER(sprat_tool_call) * len(calls))(*map(ctypes.pointer, calls))
            struct.n_calls = len(calls)
        return struct


# Ids are taken and not looked at: results stand in the order of their calls.
_MESSAGE_KEYS = ('role', 'content', 'reasoning', 'reasoning_content', 'tool_calls', 'tool_call_id', 'name', 'prefix')


def _json(value):
    return json.dumps(value, ensure_ascii=False)


def _set_text(struct, name, text):
    if text is not None:
        data = _encode(text)
        setattr(struct, name, data)
        setattr(struct, name + '_len', len(data))


def _call_struct(call):
    """A call as OpenAI's interface has it, or {"name", "arguments"} alone; arguments as text or as a value."""
    function = call.get('function', call) if hasattr(call, 'get') else call
    if not hasattr(function, 'get') or 'name' not in function:
        raise TypeError(f'a tool call is a dict with name and arguments, not {call!r:.80}')
    struct, arguments = _new(sprat_tool_call), function.get('arguments', '{}')
    _set_text(struct, 'name', function['name'])
    _set_text(struct, 'arguments', arguments if isinstance(arguments, (str, bytes)) else _json(arguments))
    return struct


def answer_message(events):
    """The answer as a message for the next turn: role, content, and reasoning_content and tool_calls if there are
    any. Calls that were bad or cut are left out; arguments are JSON text."""
    text, calls, call = {'text': b'', 'reasoning': b''}, [], b''
    for event in events:
        if event.type in text:
            text[event.type] += event.data
        elif event.type == 'call':
            name, call = event.text, b''
        elif event.type == 'arguments':
            call += event.data
        elif event.type == 'call_end' and event.reason == 'whole':
            calls.append({'type': 'function', 'function': {'name': name, 'arguments': _decode(call)}})
    message = {'role': 'assistant', 'content': _decode(text['text'])}
    if text['reasoning']:
        message['reasoning_content'] = _decode(text['reasoning'])
    if calls:
        message['tool_calls'] = calls
    return message


def chat_render(dialect, messages, model=None, context=None, thinking=None, generation_prompt=True,
                continue_final=False, tools=None):
    """The conversation as it is written for a model: a list of (kind, text), kind "template" or "user".

    dialect: its name; None: that of model. messages: dicts with role, content and perhaps reasoning and tool_calls, or
    (role, content) pairs; a tool's result has the role "tool". tools: a list of OpenAI-shaped tools, or it as JSON
    text. thinking: None, True or False. generation_prompt: open the assistant's turn at the end.
    continue_final: the last message is the assistant's and goes on."""
    chat = _Chat(messages, dialect, thinking, generation_prompt, continue_final, tools)
    kinds = {number: name for name, number in _TEXT_KINDS.items()}
    segments, raised = [], []

    def take(_user, segment):
        try:
            one = segment.contents
            segments.append((kinds[one.kind], _decode(_bytes_at(one.text, one.len))))
            return 0
        except BaseException as error:  # it must not run through C; it is raised again below
            raised.append(error)
            return 1

    error = _new(sprat_error)
    context = context or (model.context if model else _spare_context())
    status = _lib.sprat_chat_render(context._handle, model._handle if model else None,
                                    chat.pointer, _segment_fn(take), None, ctypes.byref(error))
    if raised:
        raise raised[0]
    _check(status, error)
    return segments


class ChatParser(_Owner):
    """The reader of answers alone, for text that came from elsewhere. in_reasoning: the prompt ended inside it."""

    def __init__(self, dialect, in_reasoning=False, context=None):
        self.context = context or _spare_context()
        handle, error = c_void_p(), _new(sprat_error)
        _check(_lib.sprat_chat_parser_create(ctypes.byref(handle), self.context._handle, _encode(dialect),
                                             1 if in_reasoning else 0, ctypes.byref(error)), error)
        self._own(handle, _lib.sprat_chat_parser_destroy)

    def feed(self, text, last=False):
        """The next piece of the answer; gives the list of Events that are ready. last: nothing follows."""
        data, events, event = _encode(text), [], _new(sprat_event)
        _check(_lib.sprat_chat_parser_feed(self._handle, data, len(data), 1 if last else 0))
        while True:
            status = _lib.sprat_chat_parser_next(self._handle, ctypes.byref(event))
            if status == STATUSES['NOT_FOUND']:
                return events
            _check(status)
            events.append(Event(event))
