// The story that every generated client tells: see ../run.py.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"slices"
	"strings"

	"example.com/app/countersign"
)

var credentials = countersign.NewCredentials(os.Getenv("EMAIL"), os.Getenv("PASSWORD"))

// Somebody who asks, with a bearer token or with a jar of cookies.
type who struct {
	api *countersign.APIClient
	ctx context.Context
}

func anybody() who {
	configuration := countersign.NewConfiguration()
	configuration.Servers = countersign.ServerConfigurations{{URL: os.Getenv("BASE_URL")}}
	jar, err := cookiejar.New(nil)
	check(err)
	configuration.HTTPClient = &http.Client{Jar: jar}
	return who{countersign.NewAPIClient(configuration), context.Background()}
}

func logIn(transport countersign.TokenTransport) who {
	browser := anybody()
	credentials.SetTransport(transport)
	session, answer, err := browser.api.SessionsAPI.LogIn(browser.ctx).Credentials(*credentials).Execute()
	check(err)
	expect(answer.StatusCode == http.StatusCreated, answer.Status)
	expect(session.HasToken() == (transport == countersign.BEARER), "a token for programs alone")
	fmt.Println("logged in by", transport)
	if session.HasToken() {
		program := anybody()
		program.ctx = context.WithValue(program.ctx, countersign.ContextAccessToken, session.GetToken())
		return program
	}
	return browser
}

func (who who) countThree() {
	var counted []int64
	for range 3 {
		session, _, err := who.api.SessionsAPI.CountVisit(who.ctx).Execute()
		check(err)
		counted = append(counted, session.Visits)
	}
	expect(slices.Equal(counted, []int64{1, 2, 3}), counted)
	fmt.Println("counted", strings.Trim(fmt.Sprint(counted), "[]"))
}

func (who who) refused() {
	_, answer, err := who.api.SessionsAPI.GetSession(who.ctx).Execute()
	expect(answer != nil && answer.StatusCode == http.StatusUnauthorized, err)
	expectCode(err, countersign.NOT_SIGNED_IN)
}

func (who who) logOut() {
	answer, err := who.api.SessionsAPI.LogOut(who.ctx).Execute()
	check(err)
	expect(answer.StatusCode == http.StatusNoContent, answer.Status)
	fmt.Println("logged out")
}

func main() {
	account := *countersign.NewSignUp(os.Getenv("EMAIL"), os.Getenv("PASSWORD"))
	stranger := anybody()
	made, _, err := stranger.api.AccountsAPI.CreateAccount(stranger.ctx).SignUp(account).Execute()
	check(err)
	expect(made.Email == account.Email, made.Email)
	fmt.Println("signed up")
	_, _, err = stranger.api.AccountsAPI.CreateAccount(stranger.ctx).SignUp(account).Execute()
	expectCode(err, countersign.EMAIL_TAKEN)

	program := logIn(countersign.BEARER)
	program.countThree()
	browser := logIn(countersign.COOKIE)
	browser.countThree()

	sessions, _, err := program.api.SessionsAPI.ListSessions(program.ctx).Execute()
	check(err)
	expect(len(sessions) == 2, sessions)
	fmt.Println("listed 2 sessions")
	other := slices.IndexFunc(sessions, func(session countersign.Session) bool { return !session.Current })
	_, err = program.api.SessionsAPI.EndSession(program.ctx, sessions[other].Sid).Execute()
	check(err)
	fmt.Println("ended the other one")
	browser.refused()

	program.logOut()
	program.refused()
	browser = logIn(countersign.COOKIE)
	browser.logOut()
	browser.refused()
	fmt.Println("done")
}

func expectCode(err error, code countersign.Code) {
	var refused *countersign.GenericOpenAPIError
	expect(errors.As(err, &refused), err)
	problem, ok := refused.Model().(countersign.Problem)
	expect(ok && problem.Code == code, problem)
	fmt.Println("refused with", problem.Code)
}

func check(err error) {
	expect(err == nil, err)
}

func expect(is bool, what any) {
	if !is {
		panic(fmt.Sprintf("%v", what))
	}
}
