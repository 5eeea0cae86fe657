/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two consoles of one port each: 0xe9, which Xen answers for every HVM guest, and the serial port that firmware and
 * loaders without Xen leave set up.
 */
#include "xen/machine/port_console.h"

#include <stdint.h>

#define PORT_XEN 0xe9
#define PORT_SERIAL 0x3f8
#define PORT_SERIAL_STATUS 0x3fd
#define STATUS_EMPTY 0x20u
#define SERIAL_PATIENCE 100000u

static void port_write(uint16_t port, uint8_t byte)
{
    __asm__ volatile("outb %0, %1" : : "a"(byte), "Nd"(port));
}

static uint8_t port_read(uint16_t port)
{
    uint8_t byte;

    __asm__ volatile("inb %1, %0" : "=a"(byte) : "Nd"(port));
    return byte;
}

void port_console_write_xen(const char *bytes, size_t length_bytes)
{
    for (size_t i = 0; i < length_bytes; i++)
        port_write(PORT_XEN, (uint8_t)bytes[i]);
}

void port_console_write_serial(const char *bytes, size_t length_bytes)
{
    for (size_t i = 0; i < length_bytes; i++) {
        for (uint32_t tries = 0; !(port_read(PORT_SERIAL_STATUS) & STATUS_EMPTY) && tries < SERIAL_PATIENCE; tries++)
            continue;
        port_write(PORT_SERIAL, (uint8_t)bytes[i]);
    }
}
