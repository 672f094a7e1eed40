package main

import (
	"fmt"
	"io"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newLogger writes to w, which is standard error: standard output is for results.
func newLogger(c config.Log, w io.Writer) (*zap.Logger, error) {
	log, _, err := newLevelLogger(c, w)
	return log, err
}

// newLevelLogger is newLogger with a level that can be changed.
func newLevelLogger(c config.Log, w io.Writer) (*zap.Logger, zap.AtomicLevel, error) {
	level, err := zap.ParseAtomicLevel(c.Level)
	if err != nil {
		return nil, level, fmt.Errorf("set log level: %w", err)
	}
	ec := zap.NewProductionEncoderConfig()
	ec.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	ec.EncodeDuration = zapcore.StringDurationEncoder
	enc := zapcore.NewJSONEncoder(ec)
	if c.Format == "console" {
		ec.EncodeLevel = zapcore.CapitalLevelEncoder
		enc = zapcore.NewConsoleEncoder(ec)
	}
	return zap.New(zapcore.NewCore(enc, zapcore.Lock(zapcore.AddSync(w)), level)), level, nil
}
