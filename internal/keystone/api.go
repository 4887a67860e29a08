package keystone

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/weftnet/weft/internal/authtoken"
	"github.com/weftnet/weft/internal/peer"
)

// validate is what a token stands for, nil if Keystone does not know it. An error
// says nothing about the token.
func (v *Validator) validate(ctx context.Context, token string, late bool) (*authtoken.Subject, error) {
	var spent *peer.Ticket
	for range 2 {
		own, err := v.session.Login(ctx, spent)
		if err != nil {
			return nil, err
		}
		res, data, err := v.question(ctx, own.Token, token, late)
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusOK:
			return parse(data)
		case http.StatusNotFound:
			return nil, nil
		case http.StatusUnauthorized:
			spent = own // ended, or revoked
		default:
			return nil, fmt.Errorf("keystone answers %s (has user %s a role that may validate tokens?)", res.Status, v.user)
		}
	}
	return nil, errors.New("keystone refuses a token that it has just issued")
}

func (v *Validator) question(ctx context.Context, own, token string, late bool) (*http.Response, []byte, error) {
	url := v.session.URL() + "/auth/tokens?nocatalog"
	if late {
		url += "&allow_expired=1"
	}
	return v.session.Call(ctx, http.MethodGet, url, http.Header{
		"X-Auth-Token": {own}, "X-Subject-Token": {token},
		// Without it, Keystone does not tell of tokens whose rules it cannot rely on
		// being kept.
		"Openstack-Identity-Access-Rules": {"1"},
	}, nil)
}
