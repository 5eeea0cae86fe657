/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a terminal, for the files of terminals.
 *
 *   bytes from the line --terminal_input--> input ring --terminal_read--> program
 *   program --terminal_write--> output ring (with echoes between) --device's start_output--> the line
 *
 * Thread context throughout (signals are sent from here): what a device gets in event context it hands over by deferred work.
 */
#pragma once

#include "kernel/base/list.h"
#include "kernel/base/reference.h"
#include "kernel/sched/wait_queue.h"
#include "kernel/vfs/file.h"
#include "kernel/vfs/terminal.h"

/* Linux's struct termios2 (struct termios is its first 36 bytes). */
#define TERMIOS_CHARACTERS 19
struct terminal_settings {
    uint32_t input, output, control, local;
    uint8_t line;
    uint8_t characters[TERMIOS_CHARACTERS];
    uint32_t input_speed, output_speed;
};
_Static_assert(sizeof(struct terminal_settings) == 44, "struct termios2");
#define TERMIOS_BYTES 36

enum { CHARACTER_INTERRUPT, CHARACTER_QUIT, CHARACTER_ERASE, CHARACTER_KILL, CHARACTER_EOF, CHARACTER_TIME,
       CHARACTER_MINIMUM, CHARACTER_SWITCH, CHARACTER_START, CHARACTER_STOP, CHARACTER_SUSPEND, CHARACTER_EOL,
       CHARACTER_REPRINT, CHARACTER_DISCARD, CHARACTER_WORD_ERASE, CHARACTER_LITERAL_NEXT, CHARACTER_EOL2 };

#define INPUT_STRIP 0x20u        /* ISTRIP */
#define INPUT_NL_TO_CR 0x40u     /* INLCR */
#define INPUT_IGNORE_CR 0x80u    /* IGNCR */
#define INPUT_CR_TO_NL 0x100u    /* ICRNL */
#define INPUT_XON 0x400u         /* IXON */
#define INPUT_XANY 0x800u        /* IXANY */
#define INPUT_BELL 0x2000u       /* IMAXBEL */
#define INPUT_UTF8 0x4000u       /* IUTF8 */
#define OUTPUT_PROCESS 0x1u      /* OPOST */
#define OUTPUT_NL_TO_CRNL 0x4u   /* ONLCR */
#define OUTPUT_CR_TO_NL 0x8u     /* OCRNL */
#define OUTPUT_NO_CR_AT_0 0x10u  /* ONOCR */
#define OUTPUT_NL_RETURNS 0x20u  /* ONLRET */
#define OUTPUT_TABS 0x1800u      /* XTABS */
#define LOCAL_SIGNALS 0x1u       /* ISIG */
#define LOCAL_CANONICAL 0x2u     /* ICANON */
#define LOCAL_ECHO 0x8u
#define LOCAL_ECHO_ERASE 0x10u   /* ECHOE */
#define LOCAL_ECHO_KILL 0x20u    /* ECHOK */
#define LOCAL_ECHO_NL 0x40u      /* ECHONL */
#define LOCAL_NO_FLUSH 0x80u     /* NOFLSH */
#define LOCAL_STOP 0x100u        /* TOSTOP */
#define LOCAL_ECHO_CONTROL 0x200u/* ECHOCTL */
#define LOCAL_ECHO_KILL_VISIBLE 0x800u /* ECHOKE */
#define LOCAL_EXTENDED 0x8000u   /* IEXTEN */

#define INPUT_BYTES 4096u
#define OUTPUT_BYTES 8192u

struct terminal_window {
    uint16_t rows, columns, width_pixels, height_pixels;
};

/* Locks: l lock; f fixed; t the list's lock. */
struct terminal {
    struct spinlock lock;
    struct reference reference;
    uint64_t device;                      /* f */
    /* There is output in the ring, or it may go on: with the lock held, must not sleep. */
    void (*start_output)(struct terminal *terminal);
    /* The last reference is gone. NULL: never. */
    void (*destroy)(struct terminal *terminal);
    /* A program took input: there is room. Without the lock. May be NULL. */
    void (*input_room)(struct terminal *terminal);
    struct terminal_settings settings;    /* l */
    struct terminal_window window;        /* l */
    int session_id, group_id;             /* l 0: none */
    bool stopped;                         /* l by ^S */
    bool hung_up;                         /* l the line is gone: reads end, writes fail */
    bool exclusive;                       /* l TIOCEXCL */
    bool literal_next;                    /* l the next byte is taken as it is */
    uint32_t input_head, input_tail;      /* l */
    uint32_t input_ready;                 /* l lines are complete up to here (canonical) */
    uint32_t column, line_column;         /* l where the cursor is, and where the line being typed began */
    uint32_t output_head, output_tail;    /* l */
    struct wait_queue read_queue, write_queue;
    struct list link;                     /* t */
    uint64_t line_ends[INPUT_BYTES / 64]; /* l bytes that end a line */
    uint8_t input[INPUT_BYTES];           /* l; an end of file is a byte 0 that ends a line, with eofs set */
    uint64_t eofs[INPUT_BYTES / 64];      /* l */
    uint8_t output[OUTPUT_BYTES];         /* l */
};

/* terminal.c */
void terminal_setup(struct terminal *terminal, uint64_t device);
void terminal_take(struct terminal *terminal);
void terminal_put(struct terminal *terminal);
/* A slave (or console) file over it: operations and data are set; the file takes over the reference. Becomes the controlling terminal where Linux has it so. */
void terminal_open_file(struct terminal *terminal, struct file *file);
/* The terminal behind a slave's or console's file, or NULL. */
struct terminal *terminal_from_file(const struct file *file);
void terminal_hang_up(struct terminal *terminal);
/* The terminal of a session, referenced, or NULL. */
struct terminal *terminal_find_session(int session_id);

/* terminal_input.c: bytes from the line, as many as there is room for; returns how many were taken. */
size_t terminal_input(struct terminal *terminal, const uint8_t *bytes, size_t length_bytes);
size_t terminal_input_count(const struct terminal *terminal);   /* lock held: bytes a read could get */
void terminal_input_flush(struct terminal *terminal);           /* lock held */
void terminal_settings_changed(struct terminal *terminal, uint32_t old_local); /* lock held */
/* Takes up to size bytes of what a read gets; *end: the read is over (line end). Lock held. */
size_t terminal_input_take(struct terminal *terminal, uint8_t *bytes, size_t size_bytes, bool *end);

/* terminal_output.c; the lock is held. */
uint32_t terminal_output_room(const struct terminal *terminal);
/* With output processing: false where there is no room for it. */
bool terminal_output_byte(struct terminal *terminal, uint8_t byte);
bool terminal_output_raw(struct terminal *terminal, uint8_t byte);
/* A run of what is to go out, contiguous; then how much of it went. */
size_t terminal_output_peek(struct terminal *terminal, const uint8_t **bytes);
void terminal_output_consume(struct terminal *terminal, size_t length_bytes);
void terminal_output_flush(struct terminal *terminal);

/* terminal_control.c */
long terminal_ioctl(struct terminal *terminal, struct file *file, unsigned int command, uint64_t argument, bool master);
/* May the current process read (write) now? 0, -EIO, or -ERESTARTSYS having signalled its group. */
int terminal_check_job(struct terminal *terminal, int signal);
void terminal_acquire(struct terminal *terminal, struct file *file);
