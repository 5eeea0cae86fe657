/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * printf-style formatting without floating point, and the strict parsing of numbers. A conversion is parsed into a
 * struct format_field; output goes byte by byte into a buffer that counts past its end, as snprintf() answers.
 */
#include "kernel/base/format.h"

#include "kernel/base/error.h"

struct format_output {
    char *buffer;
    size_t size_bytes;
    size_t length_bytes;
};

struct format_field {
    bool left, zero, plus, space, alternate;
    size_t width;
    long precision; /* -1: none given */
    char length;    /* 'H' for hh, 'h', 'l' for l ll z t j, 0 */
};

static void format_put(struct format_output *output, char byte)
{
    if (output->length_bytes < output->size_bytes)
        output->buffer[output->length_bytes] = byte;
    output->length_bytes++;
}

static void format_pad(struct format_output *output, char byte, size_t count)
{
    while (count-- > 0)
        format_put(output, byte);
}

static void format_text(struct format_output *output, const struct format_field *field, const char *text)
{
    size_t length = 0;

    if (!text)
        text = "(null)";
    while ((field->precision < 0 || length < (size_t)field->precision) && text[length])
        length++;

    size_t padding = field->width > length ? field->width - length : 0;
    if (!field->left)
        format_pad(output, ' ', padding);
    for (size_t i = 0; i < length; i++)
        format_put(output, text[i]);
    if (field->left)
        format_pad(output, ' ', padding);
}

/* `prefix` is the sign or 0x, up to two characters. */
static void format_number(struct format_output *output, const struct format_field *field, uint64_t value,
                          unsigned int base, bool capitals, const char *prefix)
{
    const char *alphabet = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
    char digits[24];
    size_t count = 0, prefix_length = 0;

    for (uint64_t rest = value; rest != 0; rest /= base)
        digits[count++] = alphabet[rest % base];
    if (count == 0 && field->precision != 0)
        digits[count++] = '0';
    while (prefix[prefix_length])
        prefix_length++;

    size_t zeros = field->precision > (long)count ? (size_t)field->precision - count : 0;
    size_t total = prefix_length + zeros + count;
    size_t padding = field->width > total ? field->width - total : 0;

    if (field->zero && !field->left && field->precision < 0) {
        zeros += padding;
        padding = 0;
    }
    if (!field->left)
        format_pad(output, ' ', padding);
    for (size_t i = 0; i < prefix_length; i++)
        format_put(output, prefix[i]);
    format_pad(output, '0', zeros);
    while (count > 0)
        format_put(output, digits[--count]);
    if (field->left)
        format_pad(output, ' ', padding);
}

static bool format_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static const char *format_parse_flags(const char *format, struct format_field *field)
{
    for (;; format++) {
        switch (*format) {
        case '-': field->left = true; break;
        case '0': field->zero = true; break;
        case '+': field->plus = true; break;
        case ' ': field->space = true; break;
        case '#': field->alternate = true; break;
        default: return format;
        }
    }
}

/* A run of digits; at most a million, so that nothing overflows. */
static const char *format_parse_count(const char *format, long *count)
{
    *count = 0;
    for (; format_is_digit(*format); format++)
        *count = minimum(*count * 10 + (*format - '0'), 1000000l);
    return format;
}

static const char *format_parse_length(const char *format, struct format_field *field)
{
    switch (*format) {
    case 'h':
        field->length = format[1] == 'h' ? 'H' : 'h';
        return format + (format[1] == 'h' ? 2 : 1);
    case 'l':
        field->length = 'l';
        return format + (format[1] == 'l' ? 2 : 1);
    case 'z':
    case 't':
    case 'j':
        field->length = 'l';
        return format + 1;
    default:
        return format;
    }
}

static int64_t format_signed(const struct format_field *field, va_list *list)
{
    if (field->length == 'l')
        return va_arg(*list, int64_t);
    int value = va_arg(*list, int);
    if (field->length == 'h')
        return (short)value;
    return field->length == 'H' ? (signed char)value : value;
}

static uint64_t format_unsigned(const struct format_field *field, va_list *list)
{
    if (field->length == 'l')
        return va_arg(*list, uint64_t);
    unsigned int value = va_arg(*list, unsigned int);
    if (field->length == 'h')
        return (unsigned short)value;
    return field->length == 'H' ? (unsigned char)value : value;
}

/* One conversion; false where the character is none. */
static bool format_convert(struct format_output *output, const struct format_field *field, char conversion,
                           va_list *list)
{
    switch (conversion) {
    case 'd':
    case 'i': {
        int64_t value = format_signed(field, list);
        const char *sign = value < 0 ? "-" : field->plus ? "+" : field->space ? " " : "";
        format_number(output, field, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, false, sign);
        return true;
    }
    case 'u':
        format_number(output, field, format_unsigned(field, list), 10, false, "");
        return true;
    case 'o': {
        uint64_t value = format_unsigned(field, list);
        format_number(output, field, value, 8, false, field->alternate && value ? "0" : "");
        return true;
    }
    case 'x':
    case 'X': {
        uint64_t value = format_unsigned(field, list);
        const char *prefix = !field->alternate || value == 0 ? "" : conversion == 'x' ? "0x" : "0X";
        format_number(output, field, value, 16, conversion == 'X', prefix);
        return true;
    }
    case 'p':
        format_number(output, field, (uintptr_t)va_arg(*list, void *), 16, false, "0x");
        return true;
    case 'c': {
        char text[2] = { (char)va_arg(*list, int), 0 };
        struct format_field one = *field;
        one.precision = -1;
        if (text[0] != 0) {
            format_text(output, &one, text);
        } else {
            format_pad(output, ' ', field->width > 1 && !field->left ? field->width - 1 : 0);
            format_put(output, 0);
            format_pad(output, ' ', field->width > 1 && field->left ? field->width - 1 : 0);
        }
        return true;
    }
    case 's':
        format_text(output, field, va_arg(*list, const char *));
        return true;
    case '%':
        format_put(output, '%');
        return true;
    default:
        return false;
    }
}

static const char *format_parse_width(const char *format, struct format_field *field, va_list *list)
{
    long count;

    if (*format == '*') {
        int width = va_arg(*list, int);
        field->left |= width < 0;
        field->width = width < 0 ? 0 - (size_t)width : (size_t)width;
        format++;
    } else {
        format = format_parse_count(format, &count);
        field->width = (size_t)count;
    }
    if (*format != '.')
        return format;
    if (format[1] == '*') {
        field->precision = maximum(va_arg(*list, int), -1);
        return format + 2;
    }
    return format_parse_count(format + 1, &field->precision);
}

int format_string_list(char *buffer, size_t size_bytes, const char *format, va_list list)
{
    struct format_output output = { .buffer = buffer, .size_bytes = size_bytes };
    va_list arguments;

    va_copy(arguments, list);
    while (*format) {
        if (*format != '%') {
            format_put(&output, *format++);
            continue;
        }
        struct format_field field = { .precision = -1 };
        const char *end = format_parse_flags(format + 1, &field);
        end = format_parse_width(end, &field, &arguments);
        end = format_parse_length(end, &field);
        if (format_convert(&output, &field, *end, &arguments)) {
            format = end + 1;
        } else {
            format_put(&output, *format++); /* shown as it stands */
        }
    }
    va_end(arguments);
    if (size_bytes > 0)
        buffer[minimum(output.length_bytes, size_bytes - 1)] = 0;
    return (int)output.length_bytes;
}

int format_string(char *buffer, size_t size_bytes, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    int length = format_string_list(buffer, size_bytes, format, list);
    va_end(list);
    return length;
}

static unsigned int parse_digit(char byte)
{
    unsigned int digit = (uint8_t)byte - (unsigned int)'0', letter = ((uint8_t)byte | 0x20u) - 'a';

    if (digit <= 9)
        return digit;
    return letter < 26 ? letter + 10 : 255;
}

/* No sign, no space, no prefix; base 2..36. *value is written only on success. */
int parse_unsigned(const char *text, size_t length_bytes, unsigned int base, uint64_t *value)
{
    uint64_t result = 0;
    bool overflow = false;

    if (length_bytes == 0 || base < 2 || base > 36)
        return -EINVAL;
    for (size_t i = 0; i < length_bytes; i++) {
        unsigned int digit = parse_digit(text[i]);
        if (digit >= base)
            return -EINVAL;
        overflow |= __builtin_mul_overflow(result, (uint64_t)base, &result);
        overflow |= __builtin_add_overflow(result, (uint64_t)digit, &result);
    }
    if (overflow)
        return -ERANGE;
    *value = result;
    return 0;
}
